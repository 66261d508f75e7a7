"""Saved runs: the policy and the metrics of a run folder that no backend needs to know."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from surreal.orchestrator.client import Run, all_names
from surreal.orchestrator.run.home import Folder
from surreal.orchestrator.run.location import Location
from surreal.orchestrator.run.results import (
    MANIFEST,
    POLICY_FILES,
    Metrics,
    Which,
    code_folder,
    policy_files,
    read_metrics,
    read_policy,
)
from surreal.protocol.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from surreal.algorithms.exporting.files import ExportedPolicy
    from surreal.algorithms.policies import Policy


class SavedRun:
    """A run folder on this machine: a copy, an old one, or one of another machine. It is only read."""

    def __init__(self, folder: Path, name: str = "", fetch: Callable[[str], object] | None = None) -> None:
        """Take `fetch` as what copies files of a run elsewhere into `folder`, by the beginning of their names."""
        self.folder = folder
        self.name = name or folder.name
        self._fetch, self._brought = fetch, set[str]()

    def __repr__(self) -> str:
        return f"SavedRun({str(self.folder)!r})"

    def bring(self, files: str) -> None:
        """Have the files here whose names begin so (`checkpoints/best-`), as they were when first asked for."""
        if self._fetch is not None and files not in self._brought:
            self._fetch(files)
            self._brought.add(files)

    def policy(self, which: Which = "best", code: Path | str | None = None) -> "Policy | ExportedPolicy":
        """Return the best or the last policy: a callable on observations [n, ...], without torch.

        `code` is the folder of a network of your own, by default that of the run. Raises NotFound if the run has saved
        none, and InvalidInput for a damaged one or one of a later format.
        """
        if self.folder.is_file():
            from surreal.algorithms.exporting.files import load_exported

            return load_exported(self.folder)
        self.bring(policy_files(which))
        return read_policy(self.folder, which, self.name, Path(code) if code else None)

    @property
    def code(self) -> Path | None:
        """Folder of the modules of its own that the run had; None for none, and where it is not here."""
        return None if self.folder.is_file() else code_folder(self.folder)

    def metrics(self) -> Metrics:
        """Return all metrics: `metrics()["episode_return"][-1]`."""
        self.bring("metrics/")
        return read_metrics(Folder(self.folder).metrics_jsonl)


def load(source: Path | str) -> Run | SavedRun:
    """Return a run to take policies and metrics from.

    `source` is a run folder, the folder of one checkpoint, an exported policy (.npz), the URL of a run folder in an
    object store, or the name of a run on this machine or in a cluster. Raises NotFound for a name or folder that does
    not exist, and InvalidInput for a folder that is no run.
    """
    if not isinstance(source, str | Path):
        raise InvalidInput(f"source: {source!r} is no run. Give a folder, a URL or a name.")
    text = str(source)
    if "://" in text:
        return _download(text)
    folder = Path(source).expanduser()
    if folder.is_dir():
        return _checked(folder)
    if folder.is_file() and folder.suffix != ".npz":
        raise InvalidInput(f"{folder}: this is no exported policy (.npz). Name that, a run folder, a URL or a run.")
    if folder.is_file():
        return SavedRun(folder, folder.stem)
    if folder.suffix == ".npz":
        raise NotFound(f"{text!r}: there is no such file. Name one that `surreal export --format npz` wrote.")
    if isinstance(source, Path) or "/" in text:
        raise NotFound(f"{text!r}: there is no such folder. Name a run folder, a URL or a run.")
    run = Run.find(text)
    run.status()
    return run


def saved(source: str, location: Location | None = None, which: Which = "best") -> SavedRun:
    """Return what `load` finds, its policy copied to this machine; a run's name comes before a folder of that name."""
    named = location is not None or source in all_names()
    found = Run.find(source, location) if named else load(source)
    if isinstance(found, SavedRun):
        return found
    status = found.status()
    if not found.backend.remote:
        return SavedRun(Path(status.folder), found.name)
    folder = Path(_lasting().name)
    run = SavedRun(folder, found.name, lambda files: found.backend.fetch(found.name, files, folder))
    for files in (policy_files(which), "code/", "run.json"):
        run.bring(files)
    return run


def _checked(folder: Path) -> SavedRun:
    """Return the run in `folder`. Raises InvalidInput if it holds neither a run nor a checkpoint."""
    layout = Folder(folder.absolute())
    if (folder / MANIFEST).is_file() or layout.checkpoints.is_dir() or layout.metrics_jsonl.is_file():
        return SavedRun(folder, _name(layout))
    below = [path.parent.parent for path in folder.glob("*/checkpoints/*")][:1]
    hint = f"Perhaps you mean {below[0]}." if below else "A run folder has checkpoints/ and metrics/ in it."
    raise InvalidInput(f"{folder}: this is no run folder. {hint}")


def _name(layout: Folder) -> str:
    """Return the name that the run was given; its folder may have been renamed."""
    try:
        return str(json.loads(layout.plan.read_text())["name"])
    except (OSError, ValueError, KeyError, TypeError):
        return layout.name


def _download(url: str) -> SavedRun:
    """Copy policies and metrics from an object store to a folder that lasts as long as this process."""
    from surreal.protocol.worker.object_store import ObjectStore

    store, folder = ObjectStore(url), Path(_lasting().name)
    for name in store.files():
        if name.startswith((*POLICY_FILES.values(), "metrics/metrics", "code/", "run.json", "experiment.yaml")):
            target = folder / name
            if not target.resolve().is_relative_to(folder.resolve()):
                raise InvalidInput(
                    f"{url}: it holds a file called {name!r}, which leads out of a folder. Name another one."
                )
            target.parent.mkdir(parents=True, exist_ok=True)
            store.get(name, target)
    if not any(folder.iterdir()):
        raise NotFound(f"{url}: there are no files of a run. Name the folder that spec.storage.url named.")
    return SavedRun(folder, url.rstrip("/").rpartition("/")[2])


_kept: list[tempfile.TemporaryDirectory[str]] = []
"""Downloads, removed when this process ends."""


def _lasting() -> "tempfile.TemporaryDirectory[str]":
    _kept.append(tempfile.TemporaryDirectory(prefix="surreal-"))
    return _kept[-1]
