"""Several learners of one run: they learn what one would, with real processes that are killed and started again."""

import signal
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from surreal.algorithms.recording.checkpoint import Checkpoint, Checkpoints
from surreal.algorithms.training_loop import train
from surreal.protocol.errors import ExitCode, Fatal
from tests.algorithms.fabric import Run, wait_for

UPDATES = 20
SMALL = {"fragment_steps": 32, "minibatch": 48, "epochs": 2, "evaluate_episodes": 1, "hidden": [16, 16]}
ENDLESS = {**SMALL, "total_steps": 10**7, "numba": False}


def final(learners: int, **config: Any) -> Checkpoint:
    """Train with three actors, strictly on-policy, and return the last checkpoint."""
    strict = {**SMALL, "max_staleness": 0, "total_steps": UPDATES * 32 * 4 * 3, **config}
    with tempfile.TemporaryDirectory(prefix="s") as path, Run(Path(path), strict, 3, replicas=of(learners)) as run:
        run.start_all()
        codes = [run.workers[f"learner-{index}"].wait(120) for index in range(learners)]
        assert codes == [0] * learners, run.log(f"learner-{learners - 1}")
        checkpoint = Checkpoints(Path(path) / "checkpoints", keep=2).newest()
        assert checkpoint is not None
        return checkpoint


def of(learners: int) -> dict[str, int]:
    return {"learner": learners}


def test_two_learners_learn_what_one_learns_from_the_same_batches() -> None:
    one, two = final(1), final(2)
    assert one.steps == two.steps and one.state["updates"] == two.state["updates"] == UPDATES
    assert one.state["episodes"] == two.state["episodes"] and one.state["returns"] == two.state["returns"]
    assert one.state["discount"] == two.state["discount"]
    for name in ("updater.parameters", "updater.moment1", "shift", "scale", "rewards.mean", "rewards.variance"):
        assert np.abs(one.arrays[name] - two.arrays[name]).max() < 1e-5, name


def test_a_killed_learner_sends_all_back_to_the_last_update_together(folder: Path) -> None:
    with Run(folder, ENDLESS, 2, replicas=of(2)) as run:
        run.start_all()
        wait_for(lambda: len(run.rows()) >= 1)
        kill(run, "learner-1")
        run.start("learner", 1)
        assert run.workers["learner-0"].wait(120) == ExitCode.PREEMPTED, run.log("learner-0")
        saved = Checkpoints(folder / "checkpoints", keep=2).newest()
        assert saved is not None and saved.steps >= run.rows()[-1]["steps"]
        before = len(run.rows())
        run.start("learner", 0)
        wait_for(lambda: len(run.rows()) > before + 1)
        assert f"resumed from step {saved.steps}" in run.log("learner-0")
        assert f"learner 2 of 2 begins at step {saved.steps}" in run.log("learner-1")
        assert "differ" not in run.log("learner-0")


@pytest.mark.slow
def test_a_killed_first_learner_is_joined_again_by_those_that_live(folder: Path) -> None:
    with Run(folder, ENDLESS, 2, replicas=of(2)) as run:
        run.start_all()
        wait_for(lambda: len(run.rows()) >= 1)
        kill(run, "learner-0")
        before = len(run.rows())
        run.start("learner", 0)
        wait_for(lambda: len(run.rows()) > before + 1)
        assert run.workers["learner-1"].poll() is None
        assert run.log("learner-1").count("learner 2 of 2 begins at step") == 2


@pytest.mark.slow
def test_a_learner_that_is_asked_to_stop_alone_is_one_to_start_again(folder: Path) -> None:
    with Run(folder, ENDLESS, 2, replicas=of(2)) as run:
        run.start_all()
        wait_for(lambda: len(run.rows()) >= 1)
        run.workers["learner-1"].terminate()
        assert run.workers["learner-1"].wait(120) == ExitCode.PREEMPTED
        run.workers["learner-0"].terminate()
        assert run.workers["learner-0"].wait(120) == ExitCode.PREEMPTED


def test_training_is_led_by_the_process_that_ends_the_run() -> None:
    process: Any = SimpleNamespace(wiring=SimpleNamespace(serves_control=False, name="learner/1"))
    trainer: Any = None
    with pytest.raises(Fatal, match="learner/1: calls train"):
        train(process, trainer)


def kill(run: Run, name: str) -> None:
    run.workers[name].send_signal(signal.SIGKILL)
    run.workers[name].wait()
