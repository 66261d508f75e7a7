"""CleanRL's own ppo_atari.py on a game, as it stands in its repository, with its default hyperparameters on the CPU.

Run by its own interpreter, which needs gymnasium 0.29, ale-py, tyro and tensorboard; `--script` is the file, beside
which its repository's cleanrl_utils lies. Prints one JSON line: steps per second after the first tenth, and the
training return at the end.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import deque
from pathlib import Path

BATCH = 1024
"""Steps of an iteration, after each of which the script prints a line that begins with SPS."""


def main() -> None:
    """Train once."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--script", type=Path, required=True)
    parser.add_argument("--game", default="Pong")
    parser.add_argument("--steps", type=int, default=20_480)
    parser.add_argument("--until", type=int, metavar="STEPS", help="end there, of a schedule of --steps")
    parser.add_argument("--window", type=int, default=100, help="games over which the training return is averaged")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    words = [f"--env-id={args.game}NoFrameskip-v4", f"--total-timesteps={args.steps}", f"--seed={args.seed}"]
    beside = str(args.script.resolve().parent)
    variables = {**os.environ, "OMP_NUM_THREADS": str(args.threads), "PYTHONPATH": beside}
    # The script leaves it to gymnasium to find ale-py, which gymnasium 0.29 does not.
    code = "import runpy, sys, ale_py; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    command = [sys.executable, "-u", "-c", code, str(args.script.resolve()), *words, "--no-cuda"]
    returns, times, began = deque[float](maxlen=args.window), [], time.perf_counter()
    until = min(args.until or args.steps, args.steps)
    curve: list[tuple[int, float]] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(command, cwd=folder, env=variables, stdout=subprocess.PIPE, text=True) as running,
    ):
        assert running.stdout is not None
        for line in running.stdout:
            if "episodic_return=" in line:
                returns.append(float(line.partition("episodic_return=")[2].strip().strip("[]")))
            if line.startswith("SPS:"):
                times.append(time.perf_counter())
                if len(times) % 20 == 0 and returns:
                    curve.append((len(times) * BATCH, sum(returns) / len(returns)))
                if len(times) * BATCH >= until and until < args.steps:
                    running.kill()
                    break
    if len(times) < 3 or (running.returncode and len(times) * BATCH < until):
        raise SystemExit(f"{args.script} failed")
    first = max(1, len(times) // 10)
    result = {
        "steps_per_second": (len(times) - first) * BATCH / (times[-1] - times[first - 1]),
        "seconds": times[-1] - began,
        "steps": len(times) * BATCH,
        "episode_return": sum(returns) / max(len(returns), 1),
        "curve": curve,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
