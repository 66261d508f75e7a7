"""`surreal play`: a trained policy in a window or a video."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from surreal.cli.ui.options import policy_options
from surreal.cli.ui.output import talk
from surreal.orchestrator.run.results import Which

if TYPE_CHECKING:
    from surreal.algorithms.exporting.playing import Quality
    from surreal.orchestrator.saved_run import SavedRun


@click.command(name="play")
@policy_options
@click.option("--video", type=click.Path(path_type=Path), help="Write this .mp4 or .gif instead of opening a window.")
@click.option("--episodes", type=click.IntRange(1, 1000), default=1, show_default=True, help="Whole episodes.")
@click.option("--seed", type=click.IntRange(0, 2**31), default=1, show_default=True, help="Episode i has SEED + i.")
@click.option("--env", "env_id", metavar="ID", help="Another environment of the same spaces.")
@click.option(
    "--quality",
    type=click.Choice(["fast", "full"]),
    default="fast",
    show_default=True,
    help="full: with MuJoCo's shadows and reflections, which take up to ten times as long without a GPU.",
)
def command(
    saved: "SavedRun",
    which: Which,
    code: Path | None,
    video: Path | None,
    episodes: int,
    seed: int,
    env_id: str | None,
    quality: "Quality",
) -> None:
    """Show the policy of NAME in a window; where there is no display, write NAME.mp4.

    NAME is an experiment, a run folder, a checkpoint folder, a URL, or an exported .npz.
    """
    from surreal.algorithms.exporting.playing import has_display, play

    policy = saved.policy(which, code)
    if video is None and not has_display():
        video = Path(f"{saved.name}.mp4")
        talk(f"there is no display: writing {video}")
    found = play(policy, env_id, video=video, episodes=episodes, seed=seed, quality=quality, code=code or "")
    talk(f"{saved.name}: return {found}" + (f", in {video}" if video else ""))
