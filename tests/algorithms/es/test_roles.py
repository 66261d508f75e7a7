"""ES's roles as real processes over real sockets: the same result whoever takes part and whoever dies."""

import signal
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.algorithms.es.es_run import EvolutionRun
from tests.algorithms.fabric import wait_for

SHORT = {"evaluate_episodes": 1, "population": 24, "hidden": [8], "chunk": 2}
FIXED = {**SHORT, "deterministic": True, "total_steps": 300_000}  # seconds, so that it can be met on its way
ENDLESS = {**SHORT, "total_steps": 10**9}
PATIENCE = 120.0
"""Seconds that a process may take where the machine is overloaded."""


def outcome(run: EvolutionRun) -> tuple[dict[str, Any], dict[str, Any]]:
    """All that a finished run learned, without what depends on the clock."""
    assert run.workers["master-0"].wait(PATIENCE) == 0, run.log("master-0")
    checkpoint = run.checkpoint()
    state = {name: value for name, value in checkpoint.state.items() if name != "elapsed"}
    return {**state, "steps": checkpoint.steps}, {name: a.tobytes() for name, a in checkpoint.arrays.items()}


@pytest.fixture(scope="module")
def expected() -> Any:
    """What one worker alone makes of FIXED."""
    with tempfile.TemporaryDirectory(prefix="s") as path, EvolutionRun(Path(path), "es", FIXED) as run:
        run.start_all()
        return outcome(run)


@pytest.mark.parametrize("workers", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_a_deterministic_run_is_the_same_bit_for_bit_with_any_number_of_workers(
    folder: Path, expected: Any, workers: int
) -> None:
    with EvolutionRun(folder, "es", FIXED, workers) as run:
        run.start_all()
        assert outcome(run) == expected


def test_a_deterministic_run_is_the_same_when_a_worker_dies_and_never_comes_back(folder: Path, expected: Any) -> None:
    with EvolutionRun(folder, "es", FIXED, workers=3) as run:
        run.start_all()
        wait_for(lambda: (folder / "metrics" / "metrics.jsonl").exists())
        run.workers["worker-1"].kill()
        assert outcome(run) == expected


def test_a_deterministic_run_is_the_same_when_its_master_dies_and_resumes(folder: Path, expected: Any) -> None:
    for attempt in range(5):
        own = folder / f"{attempt}"
        own.mkdir()
        with EvolutionRun(own, "es", FIXED, workers=2) as run:
            checkpoints = own / "checkpoints"
            run.start_all()
            wait_for(lambda: list(checkpoints.glob("step-*")) if checkpoints.exists() else [])  # noqa: B023
            run.workers["master-0"].kill()
            run.workers["master-0"].wait()
            before = run.checkpoint()
            if before.steps == expected[0]["steps"]:
                continue  # it was done before it was killed: this process had slept
            run.start("master")
            assert outcome(run) == expected
            assert f"resumed from step {before.steps}" in run.log("master-0")
            return
    raise AssertionError("every run was done before it could be killed")


def test_a_finished_run_ends_everybody_with_success_and_leaves_its_results(folder: Path) -> None:
    config = {"evaluate_episodes": 1, "directions": 8, "top": 4, "total_steps": 8000}
    with EvolutionRun(folder, "ars", config, workers=2) as run:
        run.start_all()
        assert [worker.wait(PATIENCE) for worker in run.workers.values()] == [0, 0, 0, 0]
        last = run.rows("master/0")[-1]
        assert last["steps"] >= 8000
        assert last["updates"] > 0
        assert np.isfinite([last["episode_return"], last["gradient_norm"], last["sigma"]]).all()
        assert last["staleness_max"] <= 4
        assert np.isfinite(run.rows("evaluator/0")[-1]["eval_return"])
        names = {path.name.split("-")[0] for path in (folder / "checkpoints").iterdir()}
        assert names == {"step", "best"}


def test_workers_join_and_leave_while_the_run_goes_on(folder: Path) -> None:
    with EvolutionRun(folder, "es", ENDLESS) as run:
        run.start("master")
        run.start("worker", 0)
        wait_for(lambda: run.rows("master/0"))
        run.start("worker", 7)  # beyond the planned number
        run.workers["worker-0"].kill()
        run.workers["worker-0"].wait()
        steps = run.rows("master/0")[-1]["steps"]
        wait_for(lambda: run.rows("master/0")[-1]["steps"] > steps + 20_000)


def test_a_worker_that_stops_answering_holds_up_nobody(folder: Path) -> None:
    with EvolutionRun(folder, "es", {**ENDLESS, "deterministic": True}, workers=2) as run:
        run.start_all()
        wait_for(lambda: run.rows("master/0"))
        run.workers["worker-1"].send_signal(signal.SIGSTOP)
        updates = run.rows("master/0")[-1]["updates"]
        wait_for(lambda: run.rows("master/0")[-1]["updates"] > updates + 5)


def test_a_master_told_to_stop_saves_and_says_preempted(folder: Path) -> None:
    with EvolutionRun(folder, "es", ENDLESS) as run:
        run.start_all()
        wait_for(lambda: run.rows("master/0"))
        run.workers["master-0"].terminate()
        assert run.workers["master-0"].wait(PATIENCE) == 4
        assert run.checkpoint().steps >= run.rows("master/0")[-1]["steps"]


def test_a_run_stops_by_itself_at_the_return_it_was_asked_for(folder: Path) -> None:
    with EvolutionRun(folder, "es", {**ENDLESS, "stop_at_return": 10.0}) as run:  # any policy balances ten steps
        run.start_all()
        assert run.workers["master-0"].wait(PATIENCE) == 0
        assert run.rows("master/0")[-1]["updates"] < 100
