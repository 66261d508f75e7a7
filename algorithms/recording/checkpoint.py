"""Checkpoints that are whole or not there: safetensors + a JSON manifest with sha256, in one folder each.

A folder is written under a temporary name, fsynced file by file, and renamed; a folder with its final name is complete
unless its bytes rotted, which the hashes tell. Nothing is ever unpickled. Every manifest describes the policy in it, so
that `policies.load_policy` needs nothing but the folder.
"""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from logging import getLogger
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from surreal.algorithms.types import Array
from surreal.protocol.errors import Fatal

log = getLogger(__name__)
FORMAT = 1
TENSORS, MANIFEST = "tensors.safetensors", "manifest.json"


@dataclass(frozen=True)
class Checkpoint:
    """State of a run at one step."""

    steps: int
    arrays: dict[str, Array]
    state: dict[str, Any] = field(default_factory=dict)
    """Counters, random generators and all else that JSON can say."""
    policy: dict[str, Any] = field(default_factory=dict)
    """Description of the policy in `arrays`, as `policy_record.describe` makes it; empty for none."""


class Checkpoints:
    """The folder `checkpoints/` of a run: `step-*` to resume from, the newest `keep` of them, and one `best-*`."""

    def __init__(self, folder: Path, keep: int) -> None:
        self._folder, self._keep = folder, keep
        self._damaged: set[str] = set()
        """Names of what was passed over, which the next one saved takes the place of."""

    def clear_unfinished(self) -> None:
        """Create the folder, and remove what a crash left half written. Raises OSError."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for leftover in self._folder.glob(".unfinished-*"):
            log.info("removed unfinished checkpoint %s", leftover.name)
            shutil.rmtree(leftover, ignore_errors=True)

    def save(self, checkpoint: Checkpoint) -> None:
        """Write durably, then prune. Raises OSError (disk full, read-only) with the newest whole one intact.

        Damaged ones go first: they may be of later steps than those that the run went back to.
        """
        name = f"step-{checkpoint.steps:012d}"
        try:
            write(self._folder, name, checkpoint)
        except OSError as error:
            # One new checkpoint is worth more than several old ones.
            if error.errno not in (errno.ENOSPC, errno.EDQUOT) or not self._remove_but(1):
                raise
            write(self._folder, name, checkpoint)
        self._damaged.discard(name)
        self._remove_but(self._keep)

    def _remove_but(self, keep: int) -> int:
        """Remove all but the newest `keep` whole checkpoints; return how many were there besides."""
        found = self._all()
        whole = [folder for folder in found if folder.name not in self._damaged]
        spare = [folder for folder in found if folder not in whole[-keep:]]
        for folder in spare:
            shutil.rmtree(folder, ignore_errors=True)
        return len(spare)

    def save_best(
        self, steps: int, score: float, arrays: dict[str, Array], policy: Mapping[str, Any] | None = None
    ) -> None:
        """Keep the policy `arrays` if `score` is better than that of the one kept so far. Raises OSError."""
        kept = sorted(self._folder.glob("best-*"))
        if score <= max((best_score(folder) for folder in kept), default=float("-inf")):
            return
        name = f"best-{steps:012d}"
        write(self._folder, name, Checkpoint(steps, arrays, {"score": score}, dict(policy or {})))
        for folder in kept:
            if folder.name != name:
                shutil.rmtree(folder, ignore_errors=True)

    def newest(self) -> Checkpoint | None:
        """Return the newest checkpoint that is intact; damaged ones are named in the log and passed over.

        Raises Fatal if there are checkpoints and none is intact: a person has to decide to start from zero.
        """
        folders = self._all()
        for folder in reversed(folders):
            try:
                return load(folder)
            except (OSError, ValueError, KeyError) as error:
                log.warning("checkpoint %s is damaged (%s); trying the one before", folder.name, error)
                self._damaged.add(folder.name)
        if folders:
            raise Fatal(f"{self._folder}: all {len(folders)} checkpoints are damaged. Remove them to start from zero.")
        return None

    def _all(self) -> list[Path]:
        return sorted(self._folder.glob("step-*"))


def best_score(folder: Path) -> float:
    """Return the score in the manifest of a `best-*` folder; minus infinity if it cannot be read."""
    try:
        return float(json.loads((folder / MANIFEST).read_text())["state"]["score"])
    except (OSError, ValueError, KeyError):
        return float("-inf")


def load(folder: Path) -> Checkpoint:
    """Return the checkpoint in `folder`. Raises ValueError if a hash, size or format does not fit."""
    manifest = json.loads((folder / MANIFEST).read_text())
    if manifest["format"] != FORMAT:
        raise ValueError(f"format {manifest['format']}, this surreal reads {FORMAT}")
    tensors = (folder / TENSORS).read_bytes()
    if hashlib.sha256(tensors).hexdigest() != manifest["files"][TENSORS]["sha256"]:
        raise ValueError(f"{TENSORS} fails its sha256")
    return Checkpoint(manifest["steps"], load_tensors(tensors), manifest["state"], manifest.get("policy", {}))


def write(folder: Path, name: str, checkpoint: Checkpoint) -> None:
    """Write the checkpoint `folder`/`name` durably, in place of one of that name. Raises OSError, leaving nothing."""
    unfinished, final = folder / f".unfinished-{name}", folder / name
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    try:
        _write_files(unfinished, checkpoint)
        # The same step again, after a resume: the newer one counts.
        if final.exists():
            shutil.rmtree(final)
        unfinished.rename(final)
        _sync_folder(folder)
    except OSError:
        # Its bytes would be missing where the next try needs them.
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def _write_files(folder: Path, checkpoint: Checkpoint) -> None:
    tensors = save_tensors({name: _plain(array) for name, array in checkpoint.arrays.items()})
    digest = {TENSORS: {"sha256": hashlib.sha256(tensors).hexdigest(), "bytes": len(tensors)}}
    manifest = {"format": FORMAT, "steps": checkpoint.steps, "files": digest, "state": checkpoint.state}
    _write_durably(folder / TENSORS, tensors)
    _write_durably(folder / MANIFEST, json.dumps({**manifest, "policy": checkpoint.policy}, indent=1).encode())
    _sync_folder(folder)


def _plain(array: Array) -> Array:
    """Return `array` in C order and this machine's byte order.

    safetensors writes the bytes as they lie in memory, whatever the strides: a transpose would load as another matrix.
    """
    return np.asarray(array, dtype=array.dtype.newbyteorder("="), order="C")


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
