"""Folder of a sweep, SURREAL_HOME/sweeps/NAME: its file, its experiment, its trials, and the lock of its driver."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from surreal.orchestrator.run import home
from surreal.orchestrator.run.location import Location
from surreal.orchestrator.supervision import os_process
from surreal.protocol.errors import InvalidInput, NotFound, did_you_mean

if TYPE_CHECKING:
    from surreal.orchestrator.sweeps.load import Sweep

TrialState = Literal["running", "succeeded", "failed", "pruned", "stopped"]
SweepState = Literal["running", "succeeded", "failed", "stopped"]


@dataclass
class Trial:
    """One point with its runs."""

    number: int
    point: dict[str, Any]
    """Key of the experiment -> value."""
    runs: dict[str, int]
    """Name of a run -> its seed."""
    state: TrialState = "running"
    score: float | None = None
    """Mean over its runs of their last evaluations; of training where there are none."""
    steps: int = 0
    seconds: float = 0.0
    """Time that its runs trained, added up."""
    cost: float = 0.0
    price: float = 0.0
    """Dollars an hour of each of its runs; 0 where machines have no price."""


@dataclass
class Record:
    """State of a sweep."""

    state: SweepState = "running"
    reason: str = ""
    driver: int | None = None
    """Process id of the driver."""
    trials: list[Trial] = field(default_factory=list)

    @property
    def best(self) -> Trial | None:
        """The trial with the largest score."""
        scored = [trial for trial in self.trials if trial.score is not None]
        return max(scored, key=lambda trial: trial.score or 0.0, default=None)


class SweepFolder:
    """Files of one sweep."""

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, path.name

    @classmethod
    def find(cls, name: str) -> "SweepFolder":
        """Return the folder of a sweep that exists. Raises NotFound with the nearest name."""
        known = names()
        if name not in known:
            raise NotFound(f"no sweep {name!r}{did_you_mean(name, known)}. There are: {', '.join(known) or 'none'}.")
        return cls(_sweeps() / name)

    @classmethod
    def make(cls, sweep: "Sweep", location: Location) -> "SweepFolder":
        """Make the folder of a new sweep. Raises InvalidInput where the name is taken, or the home not writable."""
        if sweep.name in home.names():
            raise InvalidInput(f"metadata.name: there is an experiment {sweep.name!r}. Take another name: --name.")
        home.make_experiments()  # makes SURREAL_HOME, private to its owner
        folder = cls(_sweeps() / sweep.name)
        try:
            folder.path.mkdir(mode=0o700, parents=True)
        except FileExistsError:
            raise InvalidInput(
                f"metadata.name: there is a sweep {sweep.name!r}. Take another name with --name, go on with it by "
                f"surreal resume {sweep.name}, or remove it by surreal delete {sweep.name}."
            ) from None
        except OSError as error:
            raise InvalidInput(f"{folder.path}: {error.strerror}. Set SURREAL_HOME to a folder of yours.") from None
        document = sweep.document.model_dump(mode="json", by_alias=True)
        about = {"folder": str(sweep.experiment.folder), "location": asdict(location), "document": document}
        home.write_json(folder.path / "sweep.json", {**about, "experiment": sweep.experiment.to_data()})
        folder.write(Record())
        return folder

    def sweep(self) -> "Sweep":
        """Return the sweep as it was begun. Raises InvalidInput for a damaged file."""
        # The models of experiments are slow to import, and a list of sweeps needs none.
        from surreal.orchestrator.experiment.complete import of_its_time
        from surreal.orchestrator.experiment.experiment import Experiment
        from surreal.orchestrator.sweeps.load import Sweep
        from surreal.orchestrator.sweeps.model import SweepDocument

        about = self._about()
        folder = Path(about["folder"])
        experiment = Experiment.from_data(of_its_time(about["experiment"], folder), folder=folder)
        return Sweep(SweepDocument.model_validate(about["document"]), experiment)

    def location(self) -> Location:
        """Return the place of its runs."""
        return Location(**self._about()["location"])

    def _about(self) -> Any:
        try:
            return home.read_json(self.path / "sweep.json")
        except (OSError, ValueError) as error:
            raise InvalidInput(f"{self.path}: is damaged ({error}). Remove it: surreal delete {self.name}") from None

    def read(self) -> Record:
        """Return the record; one whose driver died is stopped."""
        try:
            data = home.read_json(self.path / "state.json")
            record = Record(**{**data, "trials": [Trial(**trial) for trial in data["trials"]]})
        except (OSError, ValueError, TypeError, KeyError) as error:
            return Record("failed", f"{self.path}/state.json cannot be read: {error}")
        if record.state == "running" and not self.driven():
            record.state, record.reason = "stopped", f"its driver is gone; surreal resume {self.name} goes on"
        return record

    def write(self, record: Record) -> None:
        """Replace the record on disk."""
        home.write_json(self.path / "state.json", asdict(record))

    def acquire(self) -> int | None:
        """Take the lock of the driver: a descriptor, or None where a driver has it."""
        return os_process.lock(self.path / "lock")

    def driven(self) -> bool:
        """Return whether a driver lives."""
        return os_process.is_locked(self.path / "lock")


def _sweeps() -> Path:
    return home.home() / "sweeps"


def names() -> list[str]:
    """Return the names of all sweeps, sorted."""
    folder = _sweeps()
    return sorted(entry.name for entry in folder.iterdir() if entry.is_dir()) if folder.is_dir() else []


def records() -> Iterator[tuple[str, Record]]:
    """Yield every sweep with its record."""
    for name in names():
        yield name, SweepFolder.find(name).read()


def split_names(given: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the names that are sweeps, and the others."""
    known = set(names())
    return [name for name in given if name in known], [name for name in given if name not in known]
