"""Running one cell of ours: an experiment of the product, through its public command line."""

import json
import os
import platform
import re
import subprocess
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from learning.ending import SURREAL
from learning.rows import Curve, Row, conventions, put, thinned
from learning.scheduler import Clock, environment, outlast, talk
from learning.table import OF_TABLE, Cell
from learning.tasks import group_of
from surreal.algorithms.evaluation import SEED

ROOT = Path(__file__).parents[2]
PACKAGES = ("surreal", "torch", "numpy", "mujoco", "gymnasium")
INVALID = 2
"""Exit code of `surreal create` for wrong input."""
OVER = ("succeeded", "failed", "stopped")
CUT = "supervisor died"
"""Beginning of the reason of a run that was killed from outside: it goes on, since no seed of it failed."""
HALF = "its creation was interrupted"
"""Beginning of the reason of a run that was never begun, for all that would begin it ended: it is made anew."""

TRIES = 3
"""Times that a run which is not over is waited for, or stopped."""
OPTIONS = {
    **{"spec.env.id": "--tasks", "spec.env.copies": "--copies", "spec.roles.": "--actors", "spec.seed": "--seeds"},
    **{f"spec.algorithm.config.{key}": option for key, option in OF_TABLE.items() if option},
}
"""Key of an experiment -> the option that its value is from."""


class Experiments:
    """The experiments of a table in a SURREAL_HOME of their own."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._files = home / "files"

    def check(self, cells: Iterable[Cell]) -> None:
        """Raise ValueError where a plan refuses one of ours, before hours go into the others; a seed stands for all."""
        kinds = {(cell.contestant, cell.task): cell for cell in cells if not cell.contestant.peer}
        new = [cell for cell in kinds.values() if not (self._files / f"{cell.name}.yaml").exists()]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(self._plan, new))

    def _plan(self, cell: Cell) -> None:
        with TemporaryDirectory() as folder:
            file = Path(folder, "experiment.yaml")
            file.write_text(cell.document)
            done = self._surreal("plan", str(file), *_words(cell))
        if done.returncode == INVALID:
            raise ValueError(f"{cell.name}: {_by_option(done.stderr.strip(), file)}")

    def run(self, cell: Cell, clock: Clock) -> Row | None:
        """Bring `cell` to its end, from wherever an earlier suite left it. Return None where the time was up first."""
        error = self._start(cell)
        if error:
            return self._failed(cell, error)
        status = self._outcome(cell.name, clock)
        # one that has no status was deleted by somebody, or runs on: no seed of it failed
        if status is None or status["state"] == "stopped" or status["reason"].startswith(CUT):
            return None
        return self._row(cell, status)

    def _outcome(self, name: str, clock: Clock) -> dict[str, Any] | None:
        """Wait until `name` is over, which it is stopped for once the time is up. Return its status, if it has one.

        Return None too, and say so, where it runs on: asking for ever would keep all others.
        """
        for _ in range(TRIES):
            with self._command("wait", name) as child:
                outlast(child, clock)
            if clock.over():
                self._surreal("stop", name)
            status = self._status(name)
            if status is None or status["state"] in OVER:
                return status
        how = "stopped" if clock.over() else "waited for"
        look = f"SURREAL_HOME={self._home} surreal status {name}"
        talk.print(f"{name}: it runs on, for it cannot be {how}. Look at it: {look}", markup=False)
        return None

    def _start(self, cell: Cell) -> str:
        """Create `cell`'s experiment, or resume it where it was cut. Return what failed, if anything.

        Raise ValueError where the input is wrong: then no seed of it can run.
        """
        status, file = self._status(cell.name), self._files / f"{cell.name}.yaml"
        if status is not None and (not file.exists() or file.read_text() != cell.document):
            words = "its run was begun with other settings, or by an older suite"
            raise ValueError(f"{cell.name}: {words} ({file}). Name the contestant otherwise, or take another --home.")
        if status is not None and status["reason"].startswith(HALF):
            self._surreal("delete", "--yes", cell.name)
            status = None
        if status is None:
            done = self._surreal(*self._create(cell, file))
        elif status["state"] in ("stopped", "failed"):
            done = self._surreal("resume", "-d", cell.name)
        else:
            return ""
        if done.returncode == INVALID:
            raise ValueError(f"{cell.name}: {_by_option(done.stderr.strip(), file)}")
        return done.stderr.strip().splitlines()[-1] if done.returncode else ""

    def _create(self, cell: Cell, file: Path) -> list[str]:
        self._files.mkdir(parents=True, exist_ok=True)
        put(file, cell.document)
        return ["create", "-d", str(file), *_words(cell)]

    def _status(self, name: str) -> dict[str, Any] | None:
        """The status document of `name`; None where there is no such experiment."""
        done = self._surreal("status", name, "-o", "json")
        if done.returncode:
            return None
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    def _surreal(self, *words: str) -> subprocess.CompletedProcess[str]:
        with self._command(*words) as child:
            out, errors = child.communicate()
        return subprocess.CompletedProcess(words, child.returncode, out, errors)

    def _command(self, *words: str) -> subprocess.Popen[str]:
        env, pipe = environment(SURREAL_HOME=str(self._home)), subprocess.PIPE
        # a terminal's Ctrl-C is the suite's to answer: it stops the experiments
        return subprocess.Popen([SURREAL, *words], env=env, stdout=pipe, stderr=pipe, text=True, start_new_session=True)

    def _failed(self, cell: Cell, reason: str) -> Row:
        return Row(*cell.who, "failed", reason, command=cell.command, **cell.what)

    def _row(self, cell: Cell, status: dict[str, Any]) -> Row:
        folder = Path(status["folder"])
        rows = read_metrics(folder / "metrics" / "metrics.jsonl")
        steps, figures, curve = outcome(rows)
        if status["state"] == "succeeded" and figures["last"] is None:
            evaluated = self._evaluated(cell, figures["best"])
            if isinstance(evaluated, str):
                return self._failed(cell, f"its last weights could not be evaluated: {evaluated}")
            figures |= evaluated
        return Row(
            *(*cell.who, status["state"], status["reason"], steps),
            seconds=curve[-1][1] if curve else 0.0,
            figures=figures,
            conventions=conventions(cell.budget.evaluate_episodes, cell.contestant.algorithm),
            curve=thinned(curve),
            command=cell.command,
            versions=versions(cell.task),
            machine=f"{os.cpu_count()} cores, {platform.platform()}",
            **cell.what,
        )

    def _evaluated(self, cell: Cell, best: float | None) -> dict[str, float | None] | str:
        """Return the figures of the last weights, in a run's own episodes: a busy evaluator comes late.

        Return what failed where there are none.
        """
        words = ("--policy", "last", "--episodes", str(cell.budget.evaluate_episodes), "--seed", str(SEED))
        done = self._surreal("eval", cell.name, *words, "-o", "json")
        if done.returncode:
            return (done.stderr.strip().splitlines() or ["surreal eval said nothing"])[-1]
        last = float(json.loads(done.stdout)["mean"])
        return {"last": last, "best": last if best is None else max(best, last)}


def _by_option(words: str, file: Path) -> str:
    """Return what is said of `file`, which no person wrote, as said of the option that the value is from."""
    place = rf"{re.escape(str(file))}(:\d+)?: "
    for key, option in OPTIONS.items():
        words = re.sub(rf"{place}{re.escape(key)}[^:\s]*: ", f"{option}: ", words)
    return re.sub(place, "", words)


def _words(cell: Cell) -> list[str]:
    """The settings of its contestant as words of a command line."""
    return [word for setting in cell.overrides for word in ("--set", setting)]


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Return a run's rows of metrics; a last line that was cut is left out."""
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return [json.loads(line) for line in lines]


def outcome(rows: list[dict[str, Any]]) -> tuple[int, dict[str, float | None], Curve]:
    """Return the steps taken, the three figures and the training curve that a run's metrics tell."""
    learner = [row for row in rows if "total_steps" in row]
    evaluations = [(row["steps"], row["eval_return"]) for row in rows if row.get("eval_return") is not None]
    steps = learner[-1]["steps"] if learner else 0
    curve = [(r["steps"], r["elapsed"], r["episode_return"]) for r in learner if r["episode_return"] is not None]
    last = [value for at, value in evaluations if at == steps]
    figures = {
        "training": curve[-1][2] if curve else None,
        "last": last[-1] if last else None,
        "best": max((value for _, value in evaluations), default=None),
    }
    return steps, figures, curve


def versions(task: str) -> dict[str, str]:
    """Return the versions that a run of ours on `task` depends on, and this checkout's commit where there is one."""
    package = group_of(task).package
    found = {name: version(name) for name in (*PACKAGES, *([package] if package else []))}
    return {**found, "python": platform.python_version(), "commit": commit()}


def commit() -> str:
    """Return the commit of this checkout; "unknown" without git."""
    command = ["git", "-C", str(ROOT), "rev-parse", "--short=10", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else "unknown"
