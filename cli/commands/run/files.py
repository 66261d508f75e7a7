"""`surreal cp`: files of a run, copied to this machine."""

import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

import click

from surreal.cli.ui.options import location_options, run_of
from surreal.cli.ui.output import counted, talk
from surreal.orchestrator.run.location import Location
from surreal.protocol.errors import InvalidInput, NotFound


@click.command(name="cp")
@click.argument("source", metavar="NAME:PATH")
@click.argument("target", type=click.Path(path_type=Path), default=".")
@click.option("-f", "--force", is_flag=True, help="Replace files that are there.")
@location_options
def command(source: str, target: Path, force: bool, location: Location | None) -> None:
    """Copy files of an experiment into the folder TARGET: surreal cp NAME:checkpoints/best .

    PATH is a file or folder of the run folder, or the beginning of its name, such as checkpoints/best, metrics or logs.
    """
    name, colon, below = source.partition(":")
    if not colon or not name or not below.strip("/"):
        raise InvalidInput(f"{source!r}: must be NAME:PATH. For example: surreal cp NAME:checkpoints/best .")
    below = below.strip("/")
    run = run_of(name, location)
    with tempfile.TemporaryDirectory(prefix="surreal-") as folder:
        run.backend.fetch(name, below, Path(folder))
        found = sorted(path for path in Path(folder).rglob("*") if path.is_file())
        if not found:
            raise NotFound(f"{source}: {name} has no file whose name begins so. See surreal status {name}.")
        above = Path(folder) / Path(below).parent
        copies = {path: _target(path, above, target) for path in found}
        _check(copies.values(), force)
        for path, copy in copies.items():
            _copy(path, copy)
    size = sum(copy.stat().st_size for copy in copies.values())
    talk(f"copied {counted(len(copies), 'file')}, {size / 1e6:,.1f} MB, to {target}")


def _target(path: Path, above: Path, target: Path) -> Path:
    """Return where a file goes. Raises InvalidInput for a name that leads out of the folder."""
    copy = target / path.relative_to(above)
    if not copy.resolve().is_relative_to(target.resolve()):
        raise InvalidInput(f"{path.name}: leads out of {target}. Name another path.")
    return copy


def _check(copies: Iterable[Path], force: bool) -> None:
    there = [copy for copy in copies if copy.exists()]
    if there and not force:
        raise InvalidInput(f"{there[0]}: is there already. Name another folder, or give --force.")


def _copy(path: Path, copy: Path) -> None:
    try:
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy)
    except OSError as error:
        raise InvalidInput(f"{copy}: {error.strerror}. Name a folder that you can write.") from None
