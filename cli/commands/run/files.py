"""`surreal cp`: files of a run, copied to this machine."""

import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import click

from surreal.cli.ui.options import location_options, run_of
from surreal.cli.ui.output import counted, talk
from surreal.orchestrator.run.location import Location
from surreal.protocol.errors import InvalidInput, NotFound, did_you_mean

MOST_LISTED = 20
"""Files and folders that are listed where the one asked for is not there."""


@click.command(name="cp")
@click.argument("source", metavar="NAME:PATH")
@click.argument("target", type=click.Path(path_type=Path), default=".")
@click.option("-f", "--force", is_flag=True, help="Replace files that are there.")
@location_options
def command(source: str, target: Path, force: bool, location: Location | None) -> None:
    """Copy files of an experiment into the folder TARGET: surreal cp NAME:checkpoints/best .

    PATH is a file or folder of the run folder, or the beginning of its name, such as checkpoints/best, metrics or logs;
    a dot is all of it.
    """
    name, below = _parts(source)
    run = run_of(name, location)
    with tempfile.TemporaryDirectory(prefix="surreal-") as folder:
        run.backend.fetch(name, below, Path(folder))
        found = sorted(path for path in Path(folder).rglob("*") if path.is_file())
        if not found:
            near, there = _near(run.backend.files(name), below)
            raise NotFound(f"{source}: {name} has no file whose name begins so{near}. {there}.")
        above = Path(folder) / Path(below).parent
        copies = {path: _target(path, above, target) for path in found}
        _check(copies.values(), force)
        for path, copy in copies.items():
            _copy(path, copy)
    size = sum(copy.stat().st_size for copy in copies.values())
    talk(f"copied {counted(len(copies), 'file')}, {size / 1e6:,.1f} MB, to {target}")


def _parts(source: str) -> tuple[str, str]:
    """Return the run and the path in its folder, "" for all of it. Raises InvalidInput for what names neither."""
    name, colon, path = source.partition(":")
    if not colon or not name or not path.strip("/"):
        raise InvalidInput(f"{source!r}: must be NAME:PATH. For example: surreal cp NAME:checkpoints/best .")
    parts = PurePosixPath(path.strip("/")).parts
    if ".." in parts:
        raise InvalidInput(f"{source}: PATH takes no '..', which leads out of folders. Begin it at the run's folder.")
    return name, "/".join(parts)


def _near(names: Iterable[str], below: str) -> tuple[str, str]:
    """Return in words the nearest name to `below`, and what the deepest folder of it that exists has."""
    known = [name for name in names if not any(part.startswith(".") for part in name.split("/"))]
    folder, *above = (f"{each}/".removeprefix("./") for each in PurePosixPath(below).parents)
    while above and not any(name.startswith(folder) for name in known):
        folder, *above = above
    inside = (name.removeprefix(folder).partition("/") for name in known if name.startswith(folder))
    entries = sorted({f"{first}{slash}" for first, slash, _ in inside})
    asked = below.removeprefix(folder).partition("/")[0]
    near = did_you_mean(f"{folder}{asked}", (f"{folder}{entry.rstrip('/')}" for entry in entries))
    if not entries:
        return near, "It has none yet"
    more = f" and {len(entries) - MOST_LISTED} more" if len(entries) > MOST_LISTED else ""
    return near, f"{folder or 'Its folder'} has {', '.join(entries[:MOST_LISTED])}{more}"


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
