"""Folder of a run that is kept on disk: each time whole or not at all, the newest that can be read taken."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from pickle import UnpicklingError
from typing import TypeVar
from zipfile import BadZipFile

T = TypeVar("T")
STEP = "step-"
UNREADABLE = (OSError, EOFError, ValueError, KeyError, RuntimeError, UnpicklingError, BadZipFile)
"""What reading of a file that was cut raises."""


def keep(folder: Path, steps: int, write: Callable[[Path], None]) -> None:
    """Have `write` fill a folder, which then takes the place of what was kept before. Raise OSError on a full disk."""
    half = folder / ".half"
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir(parents=True)
    write(half)
    whole = folder / f"{STEP}{steps:012d}"
    shutil.rmtree(whole, ignore_errors=True)
    os.replace(half, whole)
    for older in kept(folder):
        if older != whole:
            shutil.rmtree(older, ignore_errors=True)


def newest(folder: Path, read: Callable[[Path], T]) -> T | None:
    """Return what `read` makes of what was kept last; remove what it cannot read. None where nothing is left."""
    for path in kept(folder):
        try:
            return read(path)
        except UNREADABLE:
            shutil.rmtree(path)
    return None


def kept(folder: Path) -> list[Path]:
    """Return the folders that are there, the newest first."""
    return sorted(folder.glob(f"{STEP}*"), reverse=True)
