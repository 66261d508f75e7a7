"""Runs with central inference as real processes: they end, they measure themselves, and a dead replica costs little."""

import signal
from pathlib import Path
from typing import Any

import pytest

from surreal.algorithms.algorithm import Algorithm
from surreal.algorithms.registry import IMPALA, PPO
from tests.algorithms.fabric import Run, wait_for

MEMORY: dict[str, Any] = {"memory": {"kind": "lstm", "size": 8}}
SHORT: dict[str, Any] = {
    "inference": "central",
    "device": "cpu",
    "fragment_steps": 16,
    "evaluate_episodes": 1,
    "evaluation_episode_cap": 20,
}


def run_of(folder: Path, algorithm: Algorithm, config: dict[str, Any], replicas: int = 1) -> Run:
    central = algorithm.arranged(config)
    return Run(folder, {**SHORT, **config}, 2, algorithm=central, replicas={"inference": replicas})


@pytest.mark.parametrize(
    ("algorithm", "more"), [(PPO, {"minibatch": 32, "epochs": 1}), (IMPALA, {})], ids=["ppo", "impala"]
)
def test_a_run_ends_with_success_and_says_how_full_its_batches_were(
    folder: Path, algorithm: Algorithm, more: dict[str, Any]
) -> None:
    config = {**SHORT, **more, "total_steps": 4_000}
    with run_of(folder, algorithm, config, replicas=2) as run:
        run.start_all()
        assert run.workers["learner-0"].wait(120) == 0, run.log("learner-0") + run.log("inference-0")
        last = run.rows()[-1]
        assert last["steps"] >= 4_000
        assert last["dropped_malformed"] == 0
        assert last["staleness"] >= 0
        assert all("Traceback" not in run.log(f"{name}-0") for name in ("actor", "inference", "learner"))


@pytest.mark.slow
def test_an_actor_waits_for_a_replica_that_died_and_drops_its_unfinished_fragment(folder: Path) -> None:
    with run_of(folder, IMPALA, {**SHORT, "network": MEMORY, "total_steps": 10**7}) as run:
        run.start_all()
        wait_for(lambda: len(run.rows()) >= 2)
        run.workers["inference-0"].send_signal(signal.SIGKILL)
        run.workers["inference-0"].wait()
        run.start("inference")
        wait_for(lambda: "answering" in run.log("inference-0").split("answering", 1)[-1])
        steps = run.rows()[-1]["steps"]
        wait_for(lambda: run.rows()[-1]["steps"] > steps + 1_000)
        wait_for(lambda: any(row.get("fragments_lost", 0) >= 1 for row in run.rows("actor/0")))
        assert run.rows()[-1]["dropped_malformed"] == 0
        fills = [row for row in run.rows("inference/0") if "batch_fill" in row]
        assert fills
        assert all(0 < row["batch_fill"] <= 1 and row["latency_p99_ms"] >= row["latency_p50_ms"] for row in fills)
        assert all(row["sessions"] <= 4 for row in fills)
