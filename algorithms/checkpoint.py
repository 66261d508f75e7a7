"""Checkpoints that are whole or not there: safetensors + a JSON manifest with sha256, in one folder each.

A folder is written under a temporary name, fsynced file by file, and renamed; a folder with its final name is complete
unless its bytes rotted, which the hashes tell. Nothing is ever unpickled.
"""

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from logging import getLogger
from pathlib import Path
from typing import Any

from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from surreal.algorithms.types import Array
from surreal.protocol.errors import Fatal

log = getLogger(__name__)
FORMAT = 1
TENSORS, MANIFEST = "tensors.safetensors", "manifest.json"


@dataclass(frozen=True)
class Checkpoint:
    """What a resume needs."""

    steps: int
    arrays: dict[str, Array]
    state: dict[str, Any]
    """Counters, random generators and all else that JSON can say."""


class Checkpoints:
    """The folder `checkpoints/` of a run: `step-*` to resume from, the newest `keep` of them, and one `best-*`."""

    def __init__(self, folder: Path, keep: int) -> None:
        self._folder, self._keep = folder, keep
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for leftover in folder.glob(".unfinished-*"):
            log.info("ignored unfinished checkpoint %s", leftover.name)
            shutil.rmtree(leftover)

    def save(self, checkpoint: Checkpoint) -> None:
        """Write durably, then prune. Raises OSError (disk full, read-only) with the older ones intact."""
        self._write(f"step-{checkpoint.steps:012d}", checkpoint)
        for folder in self._all()[: -self._keep]:
            shutil.rmtree(folder, ignore_errors=True)

    def _write(self, name: str, checkpoint: Checkpoint) -> None:
        unfinished, final = self._folder / f".unfinished-{name}", self._folder / name
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        tensors = save_tensors(checkpoint.arrays)
        digest = {TENSORS: {"sha256": hashlib.sha256(tensors).hexdigest(), "bytes": len(tensors)}}
        manifest = {"format": FORMAT, "steps": checkpoint.steps, "files": digest, "state": checkpoint.state}
        _write_durably(unfinished / TENSORS, tensors)
        _write_durably(unfinished / MANIFEST, json.dumps(manifest, indent=1).encode())
        _sync_folder(unfinished)
        if final.exists():  # the same step again, after a resume: the newer one counts
            shutil.rmtree(final)
        unfinished.rename(final)
        _sync_folder(self._folder)

    def save_best(self, steps: int, score: float, arrays: dict[str, Array]) -> None:
        """Keep the policy `arrays` where `score` is better than that of the one kept so far."""
        kept = sorted(self._folder.glob("best-*"))
        if score <= max((best_score(folder) for folder in kept), default=float("-inf")):
            return
        name = f"best-{steps:012d}"
        self._write(name, Checkpoint(steps, arrays, {"score": score}))
        for folder in kept:
            if folder.name != name:
                shutil.rmtree(folder, ignore_errors=True)

    def newest(self) -> Checkpoint | None:
        """The newest checkpoint that is intact; damaged ones are named in the log and passed over.

        Raises Fatal where there are checkpoints and none is intact: starting from zero must be somebody's decision.
        """
        folders = self._all()
        for folder in reversed(folders):
            try:
                return load(folder)
            except (OSError, ValueError, KeyError) as error:
                log.warning("checkpoint %s is damaged (%s); trying the one before", folder.name, error)
        if folders:
            raise Fatal(f"all {len(folders)} checkpoints in {self._folder} are damaged; remove them to start from zero")
        return None

    def _all(self) -> list[Path]:
        return sorted(self._folder.glob("step-*"))


def best_score(folder: Path) -> float:
    """The score in the manifest of a `best-*` folder; minus infinity where it cannot be read."""
    try:
        return float(json.loads((folder / MANIFEST).read_text())["state"]["score"])
    except (OSError, ValueError, KeyError):
        return float("-inf")


def load(folder: Path) -> Checkpoint:
    """Read one checkpoint folder. Raises ValueError where a hash, size or format does not fit."""
    manifest = json.loads((folder / MANIFEST).read_text())
    if manifest["format"] != FORMAT:
        raise ValueError(f"format {manifest['format']}, this surreal reads {FORMAT}")
    tensors = (folder / TENSORS).read_bytes()
    if hashlib.sha256(tensors).hexdigest() != manifest["files"][TENSORS]["sha256"]:
        raise ValueError(f"{TENSORS} fails its sha256")
    return Checkpoint(manifest["steps"], load_tensors(tensors), manifest["state"])


def _write_durably(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
