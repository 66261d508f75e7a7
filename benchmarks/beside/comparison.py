"""Statistics of `surreal compare` beside rliable's, on the same returns.

python benchmarks beside.comparison --peer PYTHON [--write FILE]: PYTHON has rliable 1.2.0 with pandas below 3.
"""

import argparse
import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

from surreal.orchestrator.comparison.statistics import generator, improvement, interval, iqm

PEER = Path(__file__).parents[1] / "peers" / "parts" / "rliable_statistics.py"
REPETITIONS = 20_000


def cases() -> list[dict[str, Any]]:
    """Return returns of two contestants by name: some seeds, many, one far off, and ties."""
    rng = np.random.default_rng(7)
    found = []
    for ours, theirs in ((5, 5), (10, 8), (20, 20), (50, 30)):
        first, second = rng.normal(5000, 800, ours).round(1), rng.normal(4600, 1200, theirs).round(1)
        found.append({"name": f"{ours} and {theirs} seeds", "ours": first.tolist(), "theirs": second.tolist()})
    far = [*rng.normal(100, 5, 9).round(1).tolist(), 900.0]
    found.append({"name": "one far off", "ours": far, "theirs": rng.normal(101, 5, 10).round(1).tolist()})
    found.append({"name": "ties", "ours": [1, 2, 2, 3, 4, 5], "theirs": [2, 2, 3, 3, 1, 4]})
    return found


def ask(python: str, asked: list[dict[str, Any]]) -> Any:
    """Return what rliable says of the cases."""
    done = subprocess.run([python, str(PEER)], input=json.dumps(asked), text=True, capture_output=True, check=True)
    return json.loads(done.stdout)


def distance(values: list[float], peer: dict[str, Any]) -> tuple[float, float]:
    """Return how far our interquartile mean is from the peer's, and the ends of the interval in its widths."""
    array = np.array(values, dtype=float)
    found = interval(array, iqm, generator("ours"), REPETITIONS)
    assert found is not None, "three seeds or more have an interval"
    low, high = peer["interval"]
    ends = max(abs(float(found[0]) - low), abs(float(found[1]) - high))
    return abs(float(iqm(array)) - peer["iqm"]), ends / (high - low)


def main() -> None:
    """Print the differences; with --write keep returns and answers as an oracle for tests."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", required=True)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    asked = cases()
    answers = ask(options.peer, asked)
    for case in asked:
        peer = answers[case["name"]]
        mean, ends = zip(*(distance(case[key], peer[key]) for key in ("ours", "theirs")), strict=True)
        chance = abs(improvement(case["ours"], case["theirs"]) - peer["improvement"])
        words = f"IQM off by {max(mean):.1e}, interval by {max(ends):.1%} of its width, improvement by {chance:.1e}"
        print(f"{case['name']}: {words}")
    if options.write:
        options.write.write_text(json.dumps({"cases": asked, "answers": answers}, indent=1) + "\n")


if __name__ == "__main__":
    main()
