"""The suite as a person starts it, in a home of its own, with runs of a second or two."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SUITE = str(ROOT / "benchmarks" / "suite.py")
SURREAL = str(Path(sys.executable).with_name("surreal"))


class Suite:
    """`python benchmarks/suite.py --home HOME`, and what it leaves there."""

    def __init__(self, home: Path, modules: Path | None = None) -> None:
        self.home, self.rows = home, home / "rows"
        self.environment = {**os.environ, "PYTHONPATH": str(modules)} if modules else dict(os.environ)

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-W", "error", SUITE, "--home", str(self.home), *words]

    def __call__(self, *words: str, timeout: float = 240) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*words), env=self.environment, capture_output=True, text=True, timeout=timeout
        )

    def start(self, *words: str, under: Sequence[str] = ()) -> subprocess.Popen[str]:
        """Start the suite, by way of the command `under` where one is given."""
        command, pipe = [*under, *self.command(*words)], subprocess.PIPE
        return subprocess.Popen(command, env=self.environment, stdout=pipe, stderr=pipe, text=True)

    def row(self, name: str) -> dict[str, Any]:
        row: dict[str, Any] = json.loads((self.rows / f"{name}.json").read_text())
        return row

    def metrics(self, name: str) -> Path:
        return self.home / "surreal" / "experiments" / name / "metrics" / "metrics.jsonl"

    def until(self, path: Path, contains: str = "") -> None:
        """Wait until `path` is there and has `contains`."""
        deadline = time.monotonic() + 240
        while not (path.exists() and contains in path.read_text()):
            assert time.monotonic() < deadline, f"{path} never had {contains!r}"
            time.sleep(0.05)

    def clear(self) -> None:
        """End every experiment that is left."""
        environment = {**self.environment, "SURREAL_HOME": str(self.home / "surreal")}
        experiments = self.home / "surreal" / "experiments"
        names = [folder.name for folder in experiments.iterdir()] if experiments.exists() else []
        if names:
            subprocess.run([SURREAL, "delete", "-y", *names], env=environment, capture_output=True, check=True)
