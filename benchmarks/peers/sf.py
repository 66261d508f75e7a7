"""Sample Factory's APPO on HalfCheetah with its own MuJoCo settings, its best here; run by its own interpreter.

Prints one JSON line: steps per second between the first tenth and the end, as Sample Factory itself counts them.
"""

import argparse
import json
import os
import sys
import tempfile
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

from sample_factory.algo.runners.runner import AlgoObserver, Runner
from sample_factory.train import make_runner
from sf_examples.mujoco.train_mujoco import parse_mujoco_cfg, register_mujoco_components


class Clock(AlgoObserver):
    """Notes when the first tenth was over."""

    def __init__(self, warm: int) -> None:
        self.warm, self.began, self.first = warm, 0.0, 0

    def on_training_step(self, runner: Runner, training_iteration_since_resume: int) -> None:
        """Called by the runner about every update."""
        steps = sum(runner.env_steps.values())
        if not self.began and steps >= self.warm:
            self.began, self.first = time.perf_counter(), steps


def main() -> None:
    """Train once with two workers of four environments."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=61_440)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    register_mujoco_components()
    folder = tempfile.mkdtemp()
    words = [
        "--env=mujoco_halfcheetah",
        "--device=cpu",
        "--num_workers=2",
        "--num_envs_per_worker=4",
        f"--train_for_env_steps={args.steps}",
        f"--seed={args.seed}",
        f"--train_dir={folder}",
        "--experiment=peer",
    ]
    config = parse_mujoco_cfg(argv=words)
    config, runner = make_runner(config)
    clock, start = Clock(args.steps // 10), time.perf_counter()
    runner.register_observer(clock)
    runner.init()
    runner.run()
    steps, now = sum(runner.env_steps.values()), time.perf_counter()
    result = {
        "steps_per_second": (steps - clock.first) / (now - clock.began),
        "seconds": now - start,
        "steps": steps,
        "episode_return": None,
    }
    print(json.dumps(result), flush=True)
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
