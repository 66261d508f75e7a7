"""Running one cell of another library, by its own interpreter; its script prints the row as its last line."""

import json
import subprocess
from pathlib import Path

from learning.rows import Row
from learning.scheduler import Clock, environment, outlast
from learning.table import PEERS, Cell

SCRIPTS = Path(__file__).parents[1] / "peers"
TAIL = 300
"""Characters of a failed script's last words that a row keeps."""


class Peers:
    """The interpreters of other libraries: DIR/sb3/bin/python and so on."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def run(self, cell: Cell, clock: Clock) -> Row | None:
        """Run `cell` from its beginning: a peer's run that is cut starts again. Return None where the time was up."""
        algorithm = cell.contestant.algorithm
        words = ["--env", cell.task, "--steps", str(cell.budget.steps), "--seed", str(cell.seed)]
        words += ["--episodes", str(cell.budget.evaluate_episodes)]
        command = [str(self.python(algorithm)), str(SCRIPTS / PEERS[algorithm]), *words]
        pipe = subprocess.PIPE
        with subprocess.Popen(
            command, env=environment(), stdout=pipe, stderr=pipe, text=True, start_new_session=True
        ) as child:
            said = outlast(child, clock)
        if said is None:
            return None
        out, errors = said
        shown = " ".join([f"python benchmarks/peers/{PEERS[algorithm]}", *words])
        who = (cell.contestant.name, cell.task, cell.seed)
        if child.returncode:
            return Row(*who, "failed", errors.strip()[-TAIL:], command=shown)
        return Row(*who, "succeeded", command=shown, **json.loads(out.strip().splitlines()[-1]))

    def python(self, algorithm: str) -> Path:
        """Return the interpreter of a peer. Raise FileNotFoundError where it is not installed."""
        if self._folder is None:
            raise FileNotFoundError(
                f"--peers: not given, and {algorithm} needs it. Name the folder of its environment."
            )
        python = self._folder / algorithm.partition("-")[0] / "bin" / "python"
        if not python.exists():
            raise FileNotFoundError(f"--peers: {str(python)!r} is not there. Make that environment first.")
        return python
