"""Ray Tune beside surreal: `surreal.train` in each trial, and a sweep on the cluster that Tune has started."""

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import yaml

from tests.cli.terminal import SURREAL
from tests.orchestrator.sites import pole

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
PROGRAM = """
import json, os, sys
import ray
from ray import tune

import surreal

SMALL = {"resources": {"cpu": 0.1, "memory": "256Mi"}}


def trial(config):
    algorithm = surreal.PPO(total_steps=2_000, fragment_steps=64, minibatch=64, learning_rate=config["lr"])
    roles = dict.fromkeys(("learner", "actor", "evaluator"), SMALL)
    run = surreal.train("CartPole-v1", algorithm, name=config["name"], roles=roles)
    return {"return": run.metrics()["episode_return"][-1], "steps": run.status().progress.steps}


if __name__ == "__main__":
    ray.init(num_cpus=2, include_dashboard=False, object_store_memory=80_000_000, log_to_driver=False)
    names = tune.sample_from(lambda spec: f"trial-{spec.config.lr * 10_000:.0f}")
    space = {"lr": tune.grid_search([1e-3, 3e-4]), "name": names}
    storage = tune.RunConfig(storage_path=os.path.join(sys.argv[1], "tune"), verbose=0)
    found = tune.Tuner(trial, param_space=space, run_config=storage).fit()
    metrics = [each.metrics for each in found]
    best = found.get_best_result("return", "max").metrics["return"]
    steps = [each["steps"] for each in metrics]
    print(json.dumps({"address": ray.get_runtime_context().gcs_address, "steps": steps, "best": best}), flush=True)
    sys.stdin.readline()
"""


def test_a_trial_of_tune_trains_and_a_sweep_uses_the_cluster_of_tune(tmp_path: Path) -> None:
    program, file = tmp_path / "program.py", tmp_path / "pole.yaml"
    program.write_text(PROGRAM)
    file.write_text(yaml.safe_dump(pole("pole", total_steps=2_000)))
    plain = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
    # `ray.init` leaves a token below HOME, and demands it of whoever comes
    env = {**plain, "HOME": str(tmp_path), "SURREAL_HOME": str(tmp_path / "surreal"), "RAY_USAGE_STATS_ENABLED": "0"}
    with subprocess.Popen(
        [sys.executable, str(program), str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
    ) as tune:
        assert tune.stdout and tune.stdin
        try:
            line = next((each for each in tune.stdout if each.startswith('{"address"')), "")
            told = json.loads(line)
            assert len(told["steps"]) == 2 and min(told["steps"]) >= 2_000 and told["best"] > 0
            workers = [each.pid for each in psutil.process_iter(["environ"]) if _is_worker(each, env["SURREAL_HOME"])]
            assert workers == [], "the processes of a trial end with it"

            def surreal(*arguments: str) -> "subprocess.CompletedProcess[str]":
                command = [*SURREAL, *arguments, "--on", f"ray:{told['address']}"]
                return subprocess.run(command, capture_output=True, text=True, env=env, timeout=300)

            rates = "spec.algorithm.config.learning_rate=1e-3,3e-4"
            swept = surreal("sweep", str(file), "--grid", rates, "--name", "grid", "--parallel", "1", "-o", "json")
            assert swept.returncode == 0, swept.stderr
            runs = json.loads(surreal("list", "-o", "json").stdout)
            assert [each["state"] for each in runs] == ["succeeded", "succeeded"]
        finally:
            tune.stdin.close()
            tune.wait(120)


def _is_worker(process: psutil.Process, home: str) -> bool:
    """Is it a process of a run in that home?"""
    try:
        found = process.environ().get("SURREAL_HOME") == home and "surreal.protocol.worker" in process.cmdline()
    except (psutil.AccessDenied, psutil.NoSuchProcess):
        return False
    return found
