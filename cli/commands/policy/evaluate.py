"""`surreal eval`: whole episodes of a trained policy."""

import logging
import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from surreal.cli.ui.options import output_option, policy_options
from surreal.cli.ui.output import Output, emit, foreign_words_apart, number, table, warn
from surreal.orchestrator.run.results import Which
from surreal.protocol.errors import ExitCode

if TYPE_CHECKING:
    from rich.table import Table

    from surreal.algorithms.evaluate import Evaluation
    from surreal.orchestrator.saved_run import SavedRun


@click.command(name="eval")
@policy_options
@click.option("--episodes", type=click.IntRange(1, 1_000_000), default=10, show_default=True, help="Whole episodes.")
@click.option("--seed", type=click.IntRange(0, 2**31), default=1, show_default=True, help="Episode i has SEED + i.")
@click.option("--env", "env_id", metavar="ID", help="Another environment of the same spaces.")
@output_option
def command(
    saved: "SavedRun",
    which: Which,
    code: Path | None,
    episodes: int,
    seed: int,
    env_id: str | None,
    output: Output,
) -> ExitCode:
    """Evaluate the policy of NAME, without noise, and print its returns.

    NAME is an experiment, a run folder, a checkpoint folder, a URL, or an exported .npz.
    """
    # One line below says it of all episodes.
    logging.getLogger("surreal.algorithms.evaluation").setLevel(logging.ERROR)
    from surreal.algorithms.evaluate import evaluate

    policy = saved.policy(which, code)
    env = env_id or policy.about["env"]
    with foreign_words_apart():
        found = evaluate(policy, env, episodes=episodes, seed=seed, code=code or "")
    emit(_data(saved.name, policy.about, env, seed, found), output, lambda: _table(saved.name, found))
    without = episodes - len(_returns(found))
    if without:
        warn([f"{saved.name}: {without} of {episodes} episodes met NaN or infinity and have no return"])
    return ExitCode.DONE if without < episodes else ExitCode.FAILED


def _returns(found: "Evaluation") -> list[float]:
    """Return the returns of the episodes that have one."""
    return [each for each in found.returns if math.isfinite(each)]


def _figures(found: "Evaluation") -> dict[str, float | None]:
    """Return mean, std, min and max of the episodes that have a return; None without any."""
    there = _returns(found)
    if not there:
        return dict.fromkeys(("mean", "std", "min", "max"))
    counted = replace(found, returns=tuple(there))
    return {"mean": counted.mean, "std": counted.std, "min": min(there), "max": max(there)}


def _data(name: str, about: Any, env: Any, seed: int, found: "Evaluation") -> dict[str, Any]:
    return {
        "name": name,
        "env": env if isinstance(env, str) else env["id"],
        "steps": about["steps"],
        "episodes": len(found.returns),
        "seed": seed,
        **_figures(found),
        "returns": list(found.returns),
        "lengths": list(found.lengths),
    }


def _table(name: str, found: "Evaluation") -> "Table":
    rows = table("name", "episodes", "mean", "std", "min", "max", "length")
    figures = (*_figures(found).values(), sum(found.lengths) / len(found.lengths))
    rows.add_row(name, number(len(found.returns)), *(number(each, 1) for each in figures))
    return rows
