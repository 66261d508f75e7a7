"""Notes of experiments that run elsewhere."""

from pathlib import Path

import pytest

from surreal.orchestrator.run import home
from surreal.orchestrator.run.location import Location, forget, locate, remember, remembered
from surreal.protocol.errors import InvalidInput

CLUSTER = Location("kube", "team", "prod", None)


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SURREAL_HOME", str(tmp_path / "home"))


def test_an_experiment_is_found_where_it_was_created_until_it_is_gone() -> None:
    remember("pole", CLUSTER)
    assert locate("pole", None) == CLUSTER
    forget("pole")
    forget("pole")
    assert locate("pole", None) == Location()


def test_what_the_command_line_says_wins() -> None:
    remember("pole", CLUSTER)
    assert locate("pole", Location("kube", "other")) == Location("kube", "other")


def test_a_name_that_is_here_and_there_is_not_guessed() -> None:
    remember("pole", CLUSTER)
    home.new_folder("pole").make()
    with pytest.raises(InvalidInput, match=r"here and one in prod. Say which by --on local or --on kube"):
        locate("pole", None)


def test_a_note_that_cannot_be_read_is_passed_over() -> None:
    remember("pole", CLUSTER)
    (home.home() / "elsewhere" / "half.json").write_text('{"backend"')
    (home.home() / "elsewhere" / "later.json").write_text('{"backend": "kube", "planet": "mars"}')
    assert set(remembered()) == {"pole"}


def test_a_backend_alone_means_the_place_that_was_noted() -> None:
    remember("pole", CLUSTER)
    assert locate("pole", Location("kube")) == CLUSTER, "as SURREAL_ON=kube says it"
    assert locate("other", Location("kube")) == Location("kube")
    assert locate("pole", Location("local")) == Location("local")
    home.new_folder("pole").make()
    assert locate("pole", Location("kube")) == CLUSTER


ELSEWHERE = Location("kube", "vision", "prod", None)


def test_two_runs_of_one_name_are_told_apart() -> None:
    remember("pole", CLUSTER)
    remember("pole", ELSEWHERE)
    with pytest.raises(InvalidInput, match=r"2 experiments 'pole'.*: -n team --context prod; -n vision --context prod"):
        locate("pole", None)
    assert locate("pole", ELSEWHERE) == ELSEWHERE
    assert locate("pole", None, lambda place: place == CLUSTER) == CLUSTER, "the other one is gone"
    assert forget("pole", Location("kube", "team", "prod")) and not forget("pole", Location("kube", "team"))
    assert locate("pole", None) == ELSEWHERE


def test_creating_the_same_run_again_notes_it_once() -> None:
    remember("pole", CLUSTER)
    remember("pole", CLUSTER)
    assert remembered() == {"pole": (CLUSTER,)}
