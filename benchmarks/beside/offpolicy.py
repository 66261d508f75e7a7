"""Updates per second of TD3, DDPG and SAC while two actors collect, beside stable-baselines3 and sbx, interleaved.

    python benchmarks beside.offpolicy --peer DIR/bin/python [--sbx DIR/bin/python] [--rounds 3]
        [--algorithms td3 sac ddpg] [--threads 2]

HalfCheetah-v5, 256x256, batches of 256, one environment step for each update, on all sides. Each round trains one
after the other for about the same time; ratios within a round are the result. surreal's rate is that of a run
of the example's length (learner, two actors, one shard, no evaluator to speak of) from its second row of metrics on.
"""

import argparse
import json
import os
import statistics
import subprocess
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from learning.ending import SURREAL, end, own_home
from learning.numbers import per_second

HERE = Path(__file__).parents[1]
QUIET = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
Rates = dict[str, float]


def surreal(algorithm: str, updates: int, seed: int, threads: int) -> Rates:
    """Train in a home of its own until so many updates; return the learner's rates from its second row to its last."""
    example = HERE.parent / "examples" / f"cheetah-{'sac' if algorithm == 'sac' else 'td3'}.yaml"
    config = "spec.algorithm.config."
    words = (
        "metadata.name=rates",
        f"spec.algorithm.name={algorithm}",
        f"{config}threads={threads}",
        f"{config}replay.min_size=500",
        f"{config}evaluate_every_seconds=600",
        f"{config}evaluation_episode_cap=10",
        "spec.roles.replay.replicas=1",
        f"spec.seed={seed}",
    )
    with own_home() as home:
        environment = {**os.environ, "SURREAL_HOME": home}
        command = [SURREAL, "create", str(example), *(word for each in words for word in ("--set", each))]
        run = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        rows: list[Rates] = []
        try:
            while run.poll() is None and (len(rows) < 3 or rows[-1]["gradient_steps"] < updates):
                time.sleep(0.5)
                rows = learner_rows(Path(home))[1:]
            subprocess.run([SURREAL, "stop", "rates"], env=environment, check=True, capture_output=True)
            run.wait(60)
        finally:
            # Before its home goes: it might only then make the run.
            end(run)
    return {
        "updates_per_second": per_second(rows, "gradient_steps", "--updates"),
        "waiting": statistics.mean(row["waiting_for_samples"] for row in rows[1:]),
    }


def learner_rows(home: Path) -> list[Rates]:
    """Return the rows of metrics so far that know of updates; the last line may be under way."""
    lines = [line for path in home.glob("experiments/*/metrics/metrics.jsonl") for line in path.open()]
    found = [json.loads(line) for line in lines if line.endswith("\n")]
    return [row for row in found if row["role"] == "learner/0" and "gradient_steps" in row]


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
