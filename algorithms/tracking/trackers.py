"""Trackers: where rows go. Each is imported only where a run asks for it."""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from secrets import token_hex
from typing import Any

from surreal.algorithms.recording.rows import Row

ABOUT = ("time", "role", "steps", "attempt")
"""Keys of a row that say where its numbers belong."""
UNKNOWN_TO_MLFLOW = re.compile(r"[^\w\-. /]")
MAX_METRICS = 1_000
"""Numbers that MLflow takes at once."""


class Tracker(ABC):
    """One place that gets the rows of a run. Any method may raise any error of its library."""

    kind: str
    """Key below `spec.track`."""

    @abstractmethod
    def write(self, rows: list[Row]) -> None:
        """Write rows, oldest first."""

    @abstractmethod
    def close(self, outcome: str) -> None:
        """Write what still waits and say how the run ended: `succeeded`, or `stopped` where it may go on."""


class Wandb(Tracker):
    """A run of Weights & Biases; offline where the file says so."""

    kind = "wandb"

    def __init__(self, settings: Mapping[str, Any], about: Mapping[str, Any], notes: dict[str, Any]) -> None:
        """Open the run, the same as before a restart. Its files lie in the folder of our run."""
        import wandb

        self._notes = notes
        self._run = wandb.init(
            dir=str(about["folder"]),
            id=notes.setdefault("run", token_hex(8)),
            resume="allow",
            name=about["name"],
            config=dict(about["config"]),
            settings=wandb.Settings(silent=True, console="off", disable_git=True, disable_code=True),
            **{key: value for key, value in settings.items() if value},
        )
        self._run.define_metric("*", step_metric="steps")

    def write(self, rows: list[Row]) -> None:
        """Write rows under a count of our own: the library's begins at 0 again after a restart."""
        for row in rows:
            count = self._notes["rows"] = self._notes.get("rows", 0) + 1
            self._run.log({"steps": row["steps"], **_numbers(row)}, step=count)

    def close(self, outcome: str) -> None:
        """Finish; the exit code says the outcome."""
        self._run.finish(exit_code=0 if outcome == "succeeded" else 1)


class MLflow(Tracker):
    """A run of MLflow, by default in a database file in the run folder."""

    kind = "mlflow"

    def __init__(self, settings: Mapping[str, Any], about: Mapping[str, Any], notes: dict[str, Any]) -> None:
        """Open the run, the same as before a restart."""
        from mlflow.tracking import MlflowClient

        uri = settings.get("uri") or f"sqlite:///{Path(about['folder']).absolute() / 'mlflow.db'}"
        self._client = MlflowClient(uri)
        if "run" in notes:
            self._client.update_run(notes["run"], status="RUNNING")
        else:
            notes["run"] = self._new_run(settings.get("experiment") or "surreal", about)
        self._run = notes["run"]

    def _new_run(self, experiment: str, about: Mapping[str, Any]) -> str:
        found = self._client.get_experiment_by_name(experiment)
        number = found.experiment_id if found else self._client.create_experiment(experiment)
        run = self._client.create_run(number, run_name=about["name"]).info.run_id
        for name, value in about["config"].items():
            self._client.log_param(run, name, str(value)[:500])
        return str(run)

    def write(self, rows: list[Row]) -> None:
        """Write rows; each number keeps the time and the step of its row."""
        from mlflow.entities import Metric

        metrics = [
            Metric(UNKNOWN_TO_MLFLOW.sub("_", name), value, int(1000 * row.get("time", 0.0)), int(row["steps"]))
            for row in rows
            for name, value in _numbers(row).items()
        ]
        for start in range(0, len(metrics), MAX_METRICS):
            self._client.log_batch(self._run, metrics=metrics[start : start + MAX_METRICS])

    def close(self, outcome: str) -> None:
        """Say how the run ended; a stopped one is open again when it resumes."""
        self._client.set_terminated(self._run, "FINISHED" if outcome == "succeeded" else "KILLED")


class TensorBoard(Tracker):
    """Events in a folder that is not the run's: on a disk that many runs write to and one TensorBoard reads."""

    kind = "tensorboard"

    def __init__(self, settings: Mapping[str, Any], about: Mapping[str, Any], notes: dict[str, Any]) -> None:
        """Begin the file of this attempt below the folder NAME."""
        from surreal.algorithms.recording.disk import Disk
        from surreal.algorithms.recording.events import EventLog

        notes["attempt"] = notes.get("attempt", 0) + 1
        self._disk, self._begun = Disk(), False
        self._events = EventLog(Path(settings["folder"]) / str(about["name"]), notes["attempt"], self._disk)

    def write(self, rows: list[Row]) -> None:
        """Write rows at the times that they have. Raises OSError while the disk takes none."""
        if rows and not self._begun:
            # what earlier attempts wrote stays: readers drop what is beyond the step at which a file begins
            self._begun = True
            self._events.begin(rows[0].get("time", 0.0), int(rows[0]["steps"]) - 1)
        for row in rows:
            numbers = {key: value for key, value in row.items() if _is_number(key, value)}
            role = str(row.get("role", "")).partition("/")[0]
            self._events.write(row.get("time", 0.0), int(row["steps"]), role, numbers)
        if self._disk.trouble:
            raise OSError(self._disk.trouble)

    def close(self, outcome: str) -> None:
        """Write what still waits; events know no outcome."""
        self._events.close()


TRACKERS: dict[str, Any] = {each.kind: each for each in (Wandb, MLflow, TensorBoard)}
"""Key below `spec.track` -> tracker."""


def _numbers(row: Row) -> dict[str, float]:
    """Return the numbers of a row by names such as `learner/episode_return`."""
    role = str(row.get("role", "")).partition("/")[0]
    return {f"{role}/{key}": float(value) for key, value in row.items() if _is_number(key, value)}


def _is_number(key: str, value: Any) -> bool:
    return key not in ABOUT and isinstance(value, int | float) and not isinstance(value, bool)
