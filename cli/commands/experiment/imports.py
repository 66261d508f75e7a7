"""`surreal import`: experiment files from the files of other libraries."""

from pathlib import Path

import click

from surreal.cli.ui.output import talk
from surreal.protocol.errors import InvalidInput


@click.group(name="import")
def command() -> None:
    """Translate files of other libraries to experiment files."""


@command.command(name="zoo")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--env", "env_id", metavar="ID", required=True, help="The environment, such as Hopper-v4 or ALE/Pong-v5.")
@click.option("--algorithm", metavar="NAME", help="What the entries are for, if the file is not named for it.")
@click.option("--out", type=click.Path(path_type=Path), help="A new file to write; otherwise it is printed.")
def zoo(file: Path, env_id: str, algorithm: str | None, out: Path | None) -> None:
    """Translate the entry of one environment in FILE, a hyperparameter file of rl-baselines3-zoo such as ppo.yml.

    What cannot be said in an experiment file is named, and stands in the file's head.
    """
    # it needs the models of experiments, which other commands do without
    from surreal.orchestrator.zoo.translate import translate

    found = translate(file, env_id, algorithm)
    text = found.text(file.name)
    if out is None:
        click.echo(text, nl=False)
    else:
        try:
            with out.open("x") as target:
                target.write(text)
        except FileExistsError:
            raise InvalidInput(f"--out: {str(out)!r} is there already. Name a new file.") from None
    for each in found.untranslated:
        talk(f"not translated: {each}")
