"""Runs and groups are compared by what they scored; seeds are put together; what is no comparison is said."""

import csv
import json
import shutil
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from surreal.orchestrator.comparison.compare import compare
from surreal.orchestrator.comparison.plot import plot
from surreal.orchestrator.comparison.report import band, write_csv, write_parquet
from surreal.orchestrator.comparison.statistics import generator, improvement, interval, iqm, kept
from surreal.orchestrator.run import home
from surreal.protocol.errors import InvalidInput, NotFound

ENV = {"id": "CartPole-v1", "options": {}, "wrappers": [], "copies": 8}


def write(
    name: str, seed: int, scores: list[float], rate: float = 1e-3, score: str = "eval_return", **plan: Any
) -> None:
    """A run whose score is `scores` at steps 0, 1000, ..., after as many seconds as steps are hundreds."""
    folder = home.new_folder(name)
    folder.make()
    data = {"env": ENV, "algorithm": "ppo", "config": {"learning_rate": rate}, "roles": [], "seed": seed, **plan}
    folder.plan.write_text(json.dumps({"name": name, **data}))
    rows: list[dict[str, Any]] = []
    for number, value in enumerate(scores):
        steps = 1000 * number
        rows.append({"time": 1.0 + number, "role": "learner/0", "steps": steps, "attempt": 1, "elapsed": steps / 100})
        rows.append({"time": 1.5 + number, "role": "evaluator/0", "steps": steps, "attempt": 1, score: value})
    folder.metrics_jsonl.write_text("\n".join(map(json.dumps, rows)))


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SURREAL_HOME", str(tmp_path / "home"))


def two_rates() -> list[str]:
    for seed in range(4):
        write(f"slow-{seed}", seed, [0.0, 10.0, 20.0 + seed], 1e-4)
        write(f"fast-{seed}", seed, [0.0, 50.0, 90.0 + seed], 1e-3)
    return home.names()[::-1]


def test_runs_that_differ_in_the_seed_alone_are_one_contestant() -> None:
    found = compare(two_rates(), threshold=50)
    slow, fast = found.to_data()["contestants"]
    assert (slow["name"], fast["name"]) == ("learning_rate=0.0001", "learning_rate=0.001")
    assert slow["settings"] == {"spec.algorithm.config.learning_rate": "0.0001"}
    assert [run["seed"] for run in fast["runs"]] == [3, 2, 1, 0]
    assert (fast["final"], fast["best"], fast["mean"]) == (91.5, 93.0, pytest.approx(47.875))
    assert (fast["iqm"], fast["iqm_of"]) == (91.5, 2)
    assert 90 <= fast["low"] < 91.5 < fast["high"] <= 93
    assert (fast["improvement"], slow["improvement"]) == (1.0, None)
    assert (fast["reached"], fast["steps_to"], fast["seconds_to"]) == (4, 1000.0, 10.0)
    assert (slow["reached"], slow["steps_to"], slow["steps_per_second"]) == (0, None, 100.0)
    assert found.notes == []


def test_a_group_stands_for_its_runs_and_a_folder_for_its_run() -> None:
    for seed in range(3):
        write(f"pole-{seed}", seed, [1.0, 2.0], labels={"sweep": "pole"})
    write("other", 0, [1.0, 3.0], 1.0)
    found = compare(["pole", str(home.find("other").path)])
    assert [(each.name, len(each.curves)) for each in found.contestants] == [("learning_rate=0.001", 3), ("other", 1)]
    with pytest.raises(NotFound, match="'pale'"):
        compare(["pale"])


def test_a_run_given_by_several_names_is_one_seed_and_that_is_said(tmp_path: Path) -> None:
    for seed in range(2):
        write(f"pole-{seed}", seed, [1.0, 2.0], labels={"sweep": "pole"})
    folder = home.find("pole-0").path
    (tmp_path / "link").symlink_to(folder)
    found = compare(["pole-0", "pole-0", "pole", str(folder), f"{folder}/", str(tmp_path / "link")])
    (figures,) = found.figures
    assert ([curve.run for curve in figures.contestant.curves], figures.low) == (["pole-0", "pole-1"], None)
    assert found.notes[0] == "pole-0: given more than once, counted once"


def test_the_copy_of_a_run_is_no_seed_of_its_own(tmp_path: Path) -> None:
    write("a", 1, [1.0, 2.0])
    write("b", 2, [1.0, 2.0])
    copy = shutil.copytree(home.find("a").path, tmp_path / "kept")
    found = compare(["a", "b", str(copy)])
    assert [len(each.curves) for each in found.contestants] == [2]
    assert found.notes == ["kept: a copy of a, not counted"]


def test_other_environments_and_other_returns_are_said_and_none_is_called_better() -> None:
    write("a", 1, [1.0, 2.0])
    write("b", 1, [1.0, 2.0], env={**ENV, "id": "Acrobot-v1"})
    write("c", 1, [1.0, 2.0], env={**ENV, "copies": 2})
    found = compare(["a", "b"])
    assert found.notes == ['spec.env.id differs: "Acrobot-v1", "CartPole-v1": the returns do not compare']
    assert [each.improvement for each in found.figures] == [None, None]
    assert compare(["a", "c"]).notes == []
    home.find("c").plan.unlink()
    assert compare(["a", "c"]).notes == ["nothing says what c was trained in: the returns do not compare"]


def test_scores_of_one_kind_are_compared() -> None:
    write("a", 1, [1.0, 2.0])
    write("b", 1, [1.0, 2.0], score="episode_return")
    with pytest.raises(InvalidInput, match="b: no eval_return, which the other runs have"):
        compare(["a", "b"])
    with (home.find("a").metrics_jsonl).open("a") as file:
        file.write('\n{"time": 9, "role": "learner/0", "steps": 2000, "attempt": 1, "episode_return": 7.0}')
    found = compare(["a", "b"])
    assert found.metric == "episode_return"
    assert found.notes == ["b: never evaluated, so returns of training episodes, with exploration are compared"]
    with pytest.raises(InvalidInput, match="--metric: 'eval_retur' is no score .did you mean 'eval_return'"):
        compare(["a"], metric="eval_retur")
    write("empty", 1, [])
    with pytest.raises(InvalidInput, match="empty: it has no returns yet"):
        compare(["empty"])


def test_the_interquartile_mean_is_cut_as_published_numbers_are() -> None:
    assert iqm(np.array([0, 1, 2, 3, 100])) == 2.0
    assert iqm(np.array([0, 1, 50])) == 17.0
    assert [kept(n) for n in (3, 4, 5, 8, 10)] == [3, 2, 3, 4, 6]


def test_an_interval_is_repeatable_and_refused_for_two_runs() -> None:
    values = np.arange(6.0)
    first, second = (interval(values, iqm, generator("a")) for _ in range(2))
    assert first == second
    assert first is not None and first[0] < 2.5 < first[1]
    assert interval(values[:2], iqm, generator("a")) is None
    assert improvement([1, 2], [1, 0]) == pytest.approx(0.875)


def test_the_curve_of_a_contestant_ends_where_its_shortest_run_does() -> None:
    for seed, scores in enumerate(([0.0, 10.0, 20.0], [0.0, 10.0], [0.0, 10.0, 20.0])):
        write(f"a-{seed}", seed, scores)
    (found,) = compare(home.names()).contestants
    curve = band(found)
    assert (curve.steps[-1], curve.middle[-1]) == (1000.0, 10.0)
    assert curve.low is not None and curve.low.shape == curve.middle.shape == (101,)


def test_points_are_written_for_other_programs(tmp_path: Path) -> None:
    parquet: Any = import_module("pyarrow.parquet")
    found = compare(two_rates()).contestants
    write_csv(found, tmp_path / "a.csv")
    write_parquet(found, tmp_path / "a.parquet")
    with (tmp_path / "a.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 24
    assert rows[1] == {
        "contestant": "learning_rate=0.0001",
        "run": "slow-3",
        "seed": "3",
        "steps": "1000",
        "seconds": "10.0",
        "value": "10.0",
    }
    table = parquet.read_table(tmp_path / "a.parquet").to_pylist()
    assert [str(row["value"]) for row in table] == [row["value"] for row in rows]


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_curves_are_drawn(tmp_path: Path, ending: str) -> None:
    found = compare(two_rates())
    path = tmp_path / f"a.{ending}"
    plot(found.contestants, found.metric, 50.0, path)
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG" if ending == "png" else b"<?xml")
    with pytest.raises(InvalidInput, match="--plot: .* has no known ending. Name a file .png or .svg or .pdf"):
        plot(found.contestants, found.metric, None, tmp_path / "a.jpeg")
