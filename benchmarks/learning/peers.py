"""Running one cell of another library, by its own interpreter; its script prints the row as its last line."""

import json
import os
import re
import shlex
import subprocess
from pathlib import Path

from learning.rows import Row
from learning.scheduler import Clock, environment, outlast
from learning.table import PEERS, Cell
from learning.tasks import group_of

SCRIPTS = Path(__file__).parents[1] / "peers"
TAIL = 300
"""Characters of a failed script's last words that a row keeps."""


class Peers:
    """The interpreters of other libraries: DIR/sb3/bin/python, or that of the group of tasks."""

    def __init__(self, folder: Path | None, kept: Path | None = None) -> None:
        """`kept` is where runs that can go on after a cut are kept."""
        self._folder, self._kept = folder, kept

    def run(self, cell: Cell, clock: Clock) -> Row | None:
        """Run `cell`, on from where a run of TD3, SAC or DDPG was cut. Return None where the time was up."""
        script, *words = words_of(cell)
        kept = ["--kept", str(self._kept / lasting(cell))] if self._kept else []
        command = [str(self.python(cell)), str(SCRIPTS / script), *words, *kept, "--tied"]
        pipe = subprocess.PIPE
        ours, held = os.pipe()  # its other end closes with this process, by whatever signal
        with subprocess.Popen(
            command, env=environment(), stdin=ours, stdout=pipe, stderr=pipe, text=True, start_new_session=True
        ) as child:
            os.close(ours)
            said = outlast(child, clock)
            os.close(held)
        if said is None:
            return None
        out, errors = said
        if child.returncode:
            reason = (errors.strip().splitlines() or ["it said nothing"])[-1][-TAIL:]
            return Row(*cell.who, "failed", reason, command=command_of(cell), **cell.what)
        values = {**cell.what, **json.loads(out.strip().splitlines()[-1])}
        return Row(*cell.who, "succeeded", command=command_of(cell), **values)

    def python(self, cell: Cell) -> Path:
        """Return the interpreter of a peer. Raise FileNotFoundError where it is not installed."""
        if self._folder is None:
            name = cell.contestant.algorithm
            raise FileNotFoundError(f"--peers: not given, and {name} needs it. Name the folder of its environment.")
        python = self._folder / group_of(cell.task).peers / "bin" / "python"
        if not python.exists():
            raise FileNotFoundError(f"--peers: {str(python)!r} is not there. Make that environment first.")
        return python


def lasting(cell: Cell) -> str:
    """Return the name of what is kept of `cell`, the same for every number of steps: a longer run goes on from it."""
    return re.sub(
        r"[^a-z0-9]+", "-", f"{cell.contestant.name}-{cell.task}-{cell.seed}-{cell.budget.evaluate_episodes}".lower()
    )


def command_of(cell: Cell) -> str:
    """Return the command line that runs `cell` alone."""
    script, *words = words_of(cell)
    return shlex.join(["python", f"benchmarks/peers/{script}", *words])


def words_of(cell: Cell) -> list[str]:
    """Return the script that runs `cell`, and its arguments."""
    budget, group = cell.budget, group_of(cell.task)
    words = ["--env", cell.task, "--steps", str(budget.steps), "--seed", str(cell.seed)]
    words += ["--episodes", str(budget.evaluate_episodes)]
    words += ["--options", json.dumps(group.options)] if group.options else []
    words += ["--time-limit", str(group.time_limit)] if group.time_limit else []
    return [*PEERS[cell.contestant.algorithm], *words]
