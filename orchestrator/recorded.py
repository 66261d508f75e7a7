"""Recordings of a run: mixtures of its policies, named by checkpoints, and the place of what its actors recorded."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

from surreal.algorithms.datasets.writing.actors import FOLDER
from surreal.orchestrator.client import all_names
from surreal.orchestrator.run.home import Folder
from surreal.orchestrator.run.results import MANIFEST, POLICY_FILES, Which, policy_folder
from surreal.orchestrator.saved_run import SavedRun, saved
from surreal.orchestrator.supervision.record import read_plan
from surreal.protocol.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from surreal.algorithms.exporting.record import Behaviour

WORDS = "best, last, random, a step, replay or replay@STEP"


def mixture(run: SavedRun, texts: tuple[str, ...], code: Path | None) -> "list[Behaviour]":
    """Return the policies that `texts` name, each `WHICH` or `WHICH=WEIGHT`.

    WHICH is `best`, `last`, `random`, the step of a checkpoint, or `replay`: all checkpoints of the run, in
    `replay@STEP` up to a step, which share the weight. Raises InvalidInput, NotFound, and NoPolicyError where the run
    has no best or no last policy yet.
    """
    return [behaviour for text in texts for behaviour in _named(run, text, code)]


def _named(run: SavedRun, text: str, code: Path | None) -> "Iterator[Behaviour]":
    from surreal.algorithms.exporting.record import Behaviour
    from surreal.algorithms.policies import load_policy

    which, equals, number = text.partition("=")
    try:
        weight = float(number) if equals else 1.0
    except ValueError:
        raise InvalidInput(f"--checkpoint {text}: {number!r} is no weight. Write for example best=0.5.") from None
    if which == "random":
        yield Behaviour("random", None, weight)
        return
    folders = _folders(run, which, text)
    for folder in folders:
        name = f"{run.name} {folder.name.replace('-', ' ').replace(' 0', ' ')}"
        yield Behaviour(name, load_policy(folder, code=code), weight / len(folders))


def _folders(run: SavedRun, which: str, text: str) -> list[Path]:
    """Return the folders of checkpoints that a word names. Raises NotFound where there is none of that name."""
    if run.folder.is_file():
        raise InvalidInput(f"{run.folder}: an exported policy records nothing. Name its run, or a checkpoint of it.")
    run.bring(POLICY_FILES["best" if which == "best" else "last"])
    if which in ("best", "last"):
        return [policy_folder(run.folder, cast(Which, which), run.name)]
    manifests = run.folder.glob(f"{POLICY_FILES['last']}*/{MANIFEST}")
    there = {int(path.parent.name.rpartition("-")[2]): path.parent for path in manifests}
    first, at, limit = which.partition("@")
    if first == "replay" and (not at or limit.isdecimal()):
        found = [folder for step, folder in sorted(there.items()) if not at or step <= int(limit)]
    elif which.isdecimal():
        found = [there[int(which)]] if int(which) in there else []
    else:
        raise InvalidInput(f"--checkpoint {text}: {which!r} names no policy. Give {WORDS}.")
    if not found:
        known = ", ".join(map(str, sorted(there))) or "none"
        raise NotFound(f"--checkpoint {text}: {run.name} has no such checkpoint. Its steps are: {known}.")
    return found


def actors_folder(source: str) -> tuple[Path, str]:
    """Return the folder of what actors recorded, and a name for it: `source` is that folder, or a run.

    Raises NotFound where the run does not record, and where its folder is not on this machine.
    """
    if Path(source).is_dir() and source not in all_names():
        return Path(source), Path(source).absolute().name
    run = saved(source)
    plan = read_plan(Folder(run.folder))
    if plan.record is None:
        raise NotFound(f"{source}: does not record. Set spec.record: {{}}, and run it again.")
    folder = Path(plan.record.folder or run.folder / FOLDER)
    if not folder.is_dir():
        raise NotFound(f"{source}: {folder} is not here. Run this where that folder is mounted, and name it.")
    return folder, run.name
