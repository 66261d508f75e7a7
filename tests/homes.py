"""A SURREAL_HOME of a test's own, and the command line in it."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

INSTALLED = Path(sys.executable).with_name("surreal")
# where the package is on the path alone there is no such file
SURREAL = (
    [str(INSTALLED)] if INSTALLED.exists() else [sys.executable, "-c", "from surreal.cli.main import main; main()"]
)


class Home:
    """The folder, and the experiment `small` in it."""

    def __init__(self, path: Path, hidden: tuple[str, ...] = ()) -> None:
        """Leave the environment variables `hidden` out."""
        kept = {name: value for name, value in os.environ.items() if name not in hidden}
        self.environment = {**kept, "SURREAL_HOME": str(path)}
        self.path = path

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command."""
        command = [*SURREAL, *words]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=240)

    def status(self) -> Any:
        """The status of the experiment."""
        return json.loads(self("status", "small", "-o", "json").stdout)

    @classmethod
    @contextmanager
    def temporary(cls) -> Iterator[Self]:
        """A home that is gone afterwards, its experiment first."""
        with tempfile.TemporaryDirectory(prefix="s") as path:
            surreal = cls(Path(path))
            yield surreal
            surreal("delete", "small", "-y")
