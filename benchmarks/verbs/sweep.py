"""A sweep beside its trials one by one: seconds until it ends, and CPU seconds of everything that it starts.

python benchmarks verbs.sweep [--trials 8] [--alone 8] [--parallel 2] [--steps 20000]: PPO on CartPole-v1 with one
actor. `--alone` trials run on their own first, one after another; what all would take is their mean times the trials.
Every process is counted, also those that outlive their parents: this program takes them in.
"""

import argparse
import ctypes
import json
import os
import subprocess
import time
from pathlib import Path

import yaml

from learning.ending import SURREAL, own_home

PR_SET_CHILD_SUBREAPER = 36


def used(*arguments: str) -> tuple[float, float]:
    """Run a command; return the seconds until it ends, and the CPU seconds of it and of all that it leaves behind."""
    began, cpu, wall = time.monotonic(), 0.0, 0.0
    command = subprocess.Popen([SURREAL, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while True:
        try:
            pid, status, usage = os.wait4(-1, 0)
        except ChildProcessError:
            return wall, cpu
        except BaseException:
            command.kill()
            raise
        cpu += usage.ru_utime + usage.ru_stime
        if pid == command.pid:
            assert os.waitstatus_to_exitcode(status) == 0, f"surreal {' '.join(arguments)} failed"
            command.returncode, wall = 0, time.monotonic() - began


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("trials", 8), ("alone", 8), ("parallel", 2), ("steps", 20_000)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0, "it takes Linux"
    with own_home() as home:
        os.environ["SURREAL_HOME"] = home
        config = {"total_steps": options.steps, "fragment_steps": 64}
        spec = {
            "env": {"id": "CartPole-v1"},
            "algorithm": {"name": "ppo", "config": config},
            "roles": {"actor": {"replicas": 1}},
        }
        file = Path(home) / "pole.yaml"
        data = {"apiVersion": "surreal.dev/v1alpha1", "kind": "Experiment", "metadata": {"name": "pole"}, "spec": spec}
        file.write_text(yaml.safe_dump(data))
        alone = [
            used("create", str(file), "--set", f"metadata.name=alone-{seed}", "--set", f"spec.seed={seed}")
            for seed in range(options.alone)
        ]
        wall, cpu = used("sweep", str(file), "--seeds", str(options.trials), "--parallel", str(options.parallel))
    plain = sum(each[1] for each in alone) / len(alone) * options.trials
    cores = os.cpu_count() or 1
    print(
        json.dumps(
            {
                "alone_cpu_s": [round(each[1], 2) for each in alone],
                "alone_s": [round(each[0], 2) for each in alone],
                "plain_cpu_s": plain,
                "sweep_cpu_s": cpu,
                "cpu_ratio": cpu / plain,
                "sweep_s": wall,
                "cores_s": plain / cores,
                "wall_ratio": wall * cores / plain,
            }
        )
    )


if __name__ == "__main__":
    main()
