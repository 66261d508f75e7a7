"""Updates per second of TD3, DDPG and SAC while two actors collect, beside stable-baselines3 and sbx, interleaved.

    python benchmarks/offpolicy_rates.py --peer DIR/bin/python [--sbx DIR/bin/python] [--rounds 3]
        [--algorithms td3 sac ddpg] [--threads 2]

HalfCheetah-v5, 256x256, batches of 256, one environment step for each update, on all sides. Each round trains one
after the other for about the same time; ratios within a round are the result. surreal's rate is that of whole runs
(learner, two actors, one shard, no evaluator to speak of) between the second row of metrics and the last one.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
QUIET = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
Rates = dict[str, float]


def surreal(algorithm: str, steps: int, seed: int, threads: int) -> Rates:
    """Train in a home of its own; return the learner's rates between its second row of metrics and its last."""
    example = HERE.parent / "examples" / f"cheetah-{'sac' if algorithm == 'sac' else 'td3'}.yaml"
    config = "spec.algorithm.config."
    words = (
        f"spec.algorithm.name={algorithm}",
        f"{config}total_steps={steps + 1000}",
        f"{config}threads={threads}",
        f"{config}replay.min_size=500",
        f"{config}evaluate_every_seconds=600",
        f"{config}evaluation_episode_cap=10",
        "spec.roles.replay.replicas=1",
        f"spec.seed={seed}",
    )
    with tempfile.TemporaryDirectory() as home:
        command = [str(Path(sys.executable).with_name("surreal")), "create", str(example)]
        for word in words:
            command += ["--set", word]
        subprocess.run(command, env={**os.environ, "SURREAL_HOME": home}, check=True, capture_output=True)
        (path,) = Path(home).glob("experiments/*/metrics/metrics.jsonl")
        found = [row for row in map(json.loads, path.read_text().splitlines()) if row["role"] == "learner/0"]
    rows = [row for row in found if "gradient_steps" in row][1:]
    seconds = rows[-1]["elapsed"] - rows[0]["elapsed"]
    return {
        "updates_per_second": (rows[-1]["gradient_steps"] - rows[0]["gradient_steps"]) / seconds,
        "waiting": statistics.mean(row["waiting_for_samples"] for row in rows[1:]),
        "steps_per_second": (rows[-1]["steps"] - rows[0]["steps"]) / seconds,
    }


def peer(python: Path, library: str, algorithm: str, updates: int, seed: int) -> Rates:
    """Train with another library, in its own interpreter."""
    command = [str(python), str(HERE / "peers" / "sb3_offpolicy.py"), "--library", library]
    command += ["--algorithm", algorithm, "--updates", str(updates), "--seed", str(seed)]
    done = subprocess.run(command, env=QUIET, check=True, capture_output=True, text=True)
    rates: Rates = json.loads(done.stdout.strip().splitlines()[-1])
    return rates


def main() -> None:
    """Run the rounds and show the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, help="interpreter that has stable-baselines3")
    parser.add_argument("--sbx", type=Path, help="interpreter that has sbx-rl")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--updates", type=int, default=1500)
    parser.add_argument("--algorithms", nargs="+", default=["td3", "ddpg", "sac"])
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    peers = {name: python for name, python in (("stable_baselines3", args.peer), ("sbx", args.sbx)) if python}
    table = Table("algorithm", "library", "updates/s of the rounds", "median", "surreal's is", "waits for samples")
    for algorithm in args.algorithms:
        ours: list[Rates] = []
        theirs: dict[str, list[Rates]] = {name: [] for name in peers}
        for seed in range(1, args.rounds + 1):
            ours.append(surreal(algorithm, args.updates, seed, args.threads))
            for name, python in peers.items():
                theirs[name].append(peer(python, name, algorithm, args.updates // 2, seed))
        for name, found in {"surreal": ours, **theirs}.items():
            table.add_row(algorithm, *row(name, found, ours))
    Console().print(table)


def row(name: str, found: list[Rates], ours: list[Rates]) -> list[str]:
    """Return the cells of one library, with surreal's rate over its own in each round."""
    rates = [each["updates_per_second"] for each in found]
    ratios = [our["updates_per_second"] / rate for our, rate in zip(ours, rates, strict=True)]
    waits = [f"{each['waiting']:.1%}" for each in found if "waiting" in each]
    times = "" if found is ours else f"{statistics.median(ratios):.2f} ({' '.join(f'{each:.2f}' for each in ratios)})"
    return [name, " ".join(f"{rate:.0f}" for rate in rates), f"{statistics.median(rates):.0f}", times, " ".join(waits)]


if __name__ == "__main__":
    main()
