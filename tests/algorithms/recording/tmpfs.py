"""A small file system of its own, which a test can fill, empty and make read-only."""

import os
import subprocess
from pathlib import Path

import pytest


class SmallDisk:
    """A tmpfs of `size` bytes at `path`."""

    def __init__(self, path: Path, size: int) -> None:
        self.path, self._filler = path, path / "filler"
        path.mkdir()
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)], capture_output=True, text=True
        )
        if mounted.returncode:
            pytest.skip(f"a test of a full disk needs the right to mount a tmpfs: {mounted.stderr.strip()}")

    def fill(self) -> None:
        """Leave no byte."""
        with self._filler.open("ab", buffering=0) as file:
            for size in (4096, 1):
                try:
                    while True:
                        file.write(b"x" * size)
                except OSError:
                    continue

    def empty(self) -> None:
        """Make room again."""
        self._filler.unlink()

    def read_only(self, on: bool) -> None:
        """Refuse every write, or take them again."""
        subprocess.run(["mount", "-o", f"remount,{'ro' if on else 'rw'}", str(self.path)], check=True)

    def close(self) -> None:
        """Unmount; what still uses it keeps it until it ends."""
        os.sync()
        subprocess.run(["umount", "--lazy", str(self.path)], check=True)
