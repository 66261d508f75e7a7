"""Do ES and ARS learn what their examples are said to learn? Minutes each; run with -m slow."""

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
SURREAL = Path(sys.executable).with_name("surreal")

pytestmark = pytest.mark.slow


def final_evaluation(home: Path, name: str, seed: int, steps: int) -> float:
    """Train an example for `steps`; the return of its final policy."""
    run = f"{name}-{seed}"
    words = [f"metadata.name={run}", f"spec.seed={seed}", f"spec.algorithm.config.total_steps={steps}"]
    command = [str(SURREAL), "create", str(EXAMPLES / f"{name}.yaml")]
    for word in words:
        command += ["--set", word]
    subprocess.run(command, env={**os.environ, "SURREAL_HOME": str(home)}, check=True)
    lines = (home / "experiments" / run / "metrics" / "metrics.jsonl").read_text().splitlines()
    evaluations: list[float] = [row["eval_return"] for row in map(json.loads, lines) if "eval_return" in row]
    return evaluations[-1]


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("name", "steps", "bar"),
    [
        ("cheetah-es", 6_000_000, 2500),
        ("cheetah-ars", 4_000_000, 1500),
        ("hopper-ars", 1_500_000, 1500),
        ("swimmer-ars", 800_000, 250),
    ],
)
def test_the_final_policy_reaches_the_bar_at_the_median_of_three_seeds(
    tmp_path: Path, name: str, steps: int, bar: float
) -> None:
    assert statistics.median(final_evaluation(tmp_path, name, seed, steps) for seed in (1, 2, 3)) >= bar
