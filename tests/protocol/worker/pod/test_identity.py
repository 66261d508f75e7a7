"""A process in a pod: which one it is, by what Kubernetes says."""

from dataclasses import replace
from pathlib import Path

import pytest

from surreal.protocol.errors import Fatal
from surreal.protocol.wiring import Wiring, starts
from surreal.protocol.worker.pod.identity import in_pod, with_pod_identity
from surreal.protocol.worker.start import read_wiring

SHARED = Wiring(
    experiment="test",
    role="actor",
    index=0,
    incarnation=0,
    run="roles:actor",
    replicas={"learner": 1, "actor": 4},
    channels={},
    control="tcp://test-learner-0.test:5600",
    serves_control=False,
    run_folder="",
    seed=1,
    control_role="learner",
)


def environ(index: str, attempt: str, failures: str | None = None, ignored: str | None = None) -> dict[str, str]:
    """The variables of a pod; the last two are empty where Kubernetes has set no such annotation."""
    given = {
        "JOB_COMPLETION_INDEX": index,
        "SURREAL_ATTEMPT": attempt,
        "SURREAL_FAILURES": failures,
        "SURREAL_IGNORED": ignored,
    }
    return {name: value for name, value in given.items() if value is not None}


@pytest.mark.parametrize(
    ("environ", "index", "incarnation", "start"),
    [
        (environ("3", "1"), 3, 100_000, 1),
        (environ("3", "1", "", ""), 3, 100_000, 1),
        (environ("0", "2", "5", "2"), 0, 200_007, 100_008),
        (environ("0", ""), 0, 0, 0),
    ],
)
def test_a_pod_learns_its_index_and_incarnation_from_its_environment(
    environ: dict[str, str], index: int, incarnation: int, start: int
) -> None:
    wiring = with_pod_identity(SHARED, environ)
    assert (wiring.index, wiring.incarnation, wiring.start, wiring.serves_control) == (index, incarnation, start, False)


@pytest.mark.parametrize("environ", [{}, {"JOB_COMPLETION_INDEX": "3"}])
def test_a_process_of_one_machine_stays_as_it_is(
    environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not in_pod(environ)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    wired = replace(SHARED, index=2, incarnation=7).absolute()
    wired.write(tmp_path / "actor.json")
    assert read_wiring(tmp_path / "actor.json") == wired and wired.start == 7


def test_control_is_served_by_the_first_process_of_the_role_that_ends_the_run() -> None:
    learners = replace(SHARED, role="learner", replicas={"learner": 2, "actor": 1})
    pods = [with_pod_identity(learners, {"JOB_COMPLETION_INDEX": index, "SURREAL_ATTEMPT": "1"}) for index in "01"]
    assert [pod.serves_control for pod in pods] == [True, False]


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"SURREAL_ATTEMPT": "1"}, "JOB_COMPLETION_INDEX: is not set"),
        (
            {"SURREAL_ATTEMPT": "1", "JOB_COMPLETION_INDEX": "4"},
            "JOB_COMPLETION_INDEX: 4 is too large: actor has 4 processes",
        ),
        ({"SURREAL_ATTEMPT": "1", "JOB_COMPLETION_INDEX": "-1"}, "JOB_COMPLETION_INDEX: '-1' is no number"),
        ({"SURREAL_ATTEMPT": "1e3", "JOB_COMPLETION_INDEX": "0"}, "SURREAL_ATTEMPT: '1e3'"),
        ({"SURREAL_ATTEMPT": "9" * 99, "JOB_COMPLETION_INDEX": "0"}, "SURREAL_ATTEMPT: '9{40}' is no number"),
        (
            {"SURREAL_ATTEMPT": "1", "JOB_COMPLETION_INDEX": "0", "SURREAL_FAILURES": "99999", "SURREAL_IGNORED": "1"},
            "actor/0: failed 100000 times in this attempt",
        ),
    ],
)
def test_an_environment_that_makes_no_sense_is_fatal(environ: dict[str, str], words: str) -> None:
    with pytest.raises(Fatal, match=words):
        with_pod_identity(SHARED, environ)


def test_a_wiring_for_pods_survives_its_file(tmp_path: Path) -> None:
    wired = replace(SHARED, logs=True, store="s3://bucket/runs", termination="/dev/termination-log")
    wired.write(tmp_path / "actor.json")
    assert Wiring.read(tmp_path / "actor.json") == wired


@pytest.mark.parametrize(("incarnation", "count"), [(1, 1), (7, 7), (100_000, 1), (100_003, 4), (200_001, 3)])
def test_starts_are_counted_the_same_on_every_backend(incarnation: int, count: int) -> None:
    assert starts(incarnation) == count
