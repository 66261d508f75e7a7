"""`surreal record`: a dataset of whole episodes of a run's policies."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from surreal.cli.ui.options import Number, output_option, policy_options
from surreal.cli.ui.output import Output, emit, foreign_words_apart, talk
from surreal.orchestrator.run.results import NoPolicyError, Which
from surreal.protocol.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from surreal.orchestrator.saved_run import SavedRun

SAY_EVERY = 50
"""Episodes between two lines."""


@click.command(name="record")
@policy_options
@click.option("--to", "folder", type=click.Path(path_type=Path), required=True, help="Folder of the new dataset.")
@click.option("--episodes", type=click.IntRange(1, 10**8), help="Whole episodes to record.")
@click.option("--steps", type=click.IntRange(1, 10**10), help="Steps to record; the last episode ends as a whole.")
@click.option(
    "--checkpoint",
    "checkpoints",
    metavar="WHICH[=WEIGHT]",
    multiple=True,
    help="best, last, random, a step, replay (all steps) or replay@STEP. May be repeated: a mixture. That of --policy "
    "if not given.",
)
@click.option("--noise", type=Number(0, 1), default=0.0, help="Share of random choices; deviation for Box.")
@click.option("--sample", is_flag=True, help="Draw actions of stochastic policies.")
@click.option("--seed", type=click.IntRange(0, 2**31), default=1, show_default=True, help="Episode i has SEED + i.")
@click.option("--id", "dataset_id", metavar="NAME/NAME-v0", help="Id in minari; made of NAME if not given.")
@output_option
def command(
    saved: "SavedRun",
    which: Which,
    code: Path | None,
    folder: Path,
    checkpoints: tuple[str, ...],
    dataset_id: str | None,
    output: Output,
    **options: Any,
) -> None:
    """Record a dataset of episodes of NAME's policies in its environment, in Minari's format.

    Each episode is in a file before the next one begins: the same command, given again after a crash, goes on behind
    the last one.
    """
    from surreal.algorithms.exporting.record import Recording, record
    from surreal.orchestrator.recorded import mixture

    try:
        policies = mixture(saved, checkpoints or (which,), code)
    except NoPolicyError as error:
        if not checkpoints or error.other is None:
            raise
        raise NotFound(f"--checkpoint: {error.fact.removesuffix('.')}. Give --checkpoint {error.other}.") from None
    about = next((each.policy.about for each in policies if each.policy is not None), None)
    if about is None:
        raise InvalidInput("--checkpoint: random alone names no environment. Add another one with weight 0.")
    settings = Recording(folder, dataset_id or f"{saved.name}/{folder.name}-v0", **options)

    def say(episodes: int, steps: int) -> None:
        if episodes % SAY_EVERY == 0:
            talk(f"{episodes:,} episodes, {steps:,} steps")

    with foreign_words_apart():
        record(policies, about["env"], settings, code or "", say)
    emit(summary(folder), output, lambda: _sentence(folder))


def summary(folder: Path) -> dict[str, Any]:
    """Return what a dataset holds, as plain data."""
    from surreal.algorithms.datasets.opening import open_dataset

    found = open_dataset(str(folder))
    try:
        about = found.about
        return {
            "dataset": str(folder),
            "env": about.env_id,
            "episodes": about.episodes,
            "steps": about.steps,
            "provenance": dict(about.provenance),
        }
    finally:
        found.close()


def _sentence(folder: Path) -> str:
    found = summary(folder)
    return f"{folder}: {found['episodes']:,} episodes, {found['steps']:,} steps of {found['env']}"
