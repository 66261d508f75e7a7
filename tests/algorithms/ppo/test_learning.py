"""Do the examples learn what they are said to learn? Minutes each; run with -m slow."""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
SURREAL = Path(sys.executable).with_name("surreal")

pytestmark = pytest.mark.slow


def train(home: Path, name: str, seed: int, config: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Train an example to its end with `seed` and some settings of its algorithm; the learner's rows."""
    command = [str(SURREAL), "create", str(EXAMPLES / f"{name}.yaml"), "--set", f"spec.seed={seed}"]
    run = f"{name}-{seed}"
    environment = {**os.environ, "SURREAL_HOME": str(home)}
    for setting in config:
        command += ["--set", f"spec.algorithm.config.{setting}"]
    subprocess.run([*command, "--set", f"metadata.name={run}"], env=environment, check=True)
    rows = (home / "experiments" / run / "metrics" / "metrics.jsonl").read_text().splitlines()
    return [row for row in map(json.loads, rows) if row["role"] == "learner/0"]


def test_cartpole_is_solved_on_five_of_five_seeds(tmp_path: Path) -> None:
    for seed in range(1, 6):
        assert train(tmp_path, "cartpole-ppo", seed)[-1]["episode_return"] >= 475


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("name", "bar"), [("cheetah-ppo", 2000), ("hopper-ppo", 2000)])
def test_a_million_steps_reach_the_bar_at_the_median_of_three_seeds(tmp_path: Path, name: str, bar: float) -> None:
    returns = [train(tmp_path, name, seed)[-1]["episode_return"] for seed in (1, 2, 3)]
    assert statistics.median(returns) >= bar
