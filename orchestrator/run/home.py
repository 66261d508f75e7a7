"""Folders of experiments on this machine: one private folder each below SURREAL_HOME (default ~/.surreal).

Standard library only, since the supervisor imports this module and stays small.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from surreal.protocol.errors import InvalidInput, NotFound, did_you_mean


@dataclass(frozen=True)
class Folder:
    """The folder of one experiment; every path in it is named here and nowhere else."""

    path: Path

    @property
    def name(self) -> str:
        """The experiment's name."""
        return self.path.name

    @property
    def experiment(self) -> Path:
        """The experiment as resolved: every default said."""
        return self.path / "experiment.yaml"

    @property
    def plan(self) -> Path:
        """The plan, as `Plan.to_json` wrote it."""
        return self.path / "plan.json"

    @property
    def provenance(self) -> Path:
        """The file that names the run's origin: versions, git commit, host, command line."""
        return self.path / "run.json"

    @property
    def code(self) -> Path:
        """The experimenter's own modules as they were when the run was made, where `spec.code` names them."""
        return self.path / "code"

    @property
    def status(self) -> Path:
        """The supervisor's record of the run, replaced atomically."""
        return self.path / "status.json"

    @property
    def spare_status(self) -> Path:
        """The same record, written in place into room that is kept for it: for a disk that is full."""
        return self.path / "status.spare"

    @property
    def progress(self) -> Path:
        """The newest progress of the run, replaced at most once a second by the role that ends it."""
        return self.path / "progress.json"

    @property
    def lock(self) -> Path:
        """Locked (flock) for as long as a supervisor lives."""
        return self.path / "supervisor.lock"

    @property
    def wiring(self) -> Path:
        """Folder of one wiring file per process."""
        return self.path / "wiring"

    @property
    def logs(self) -> Path:
        """Folder of one log per process and attempt, and the supervisor's own."""
        return self.path / "logs"

    @property
    def supervisor_log(self) -> Path:
        """The first segment of the supervisor's log: one sentence for everything that happened to a process."""
        return self.supervisor_segment(1)

    def supervisor_segment(self, segment: int) -> Path:
        """Return a segment of the supervisor's log, from 1."""
        return self.logs / f"supervisor{_suffix(segment)}.log"

    @property
    def metrics(self) -> Path:
        """Folder of TensorBoard events and metrics.jsonl."""
        return self.path / "metrics"

    @property
    def metrics_jsonl(self) -> Path:
        """One JSON object a line, written by the role that ends the run."""
        return self.metrics / "metrics.jsonl"

    @property
    def channels(self) -> Path:
        """The counts of the channels of all processes, replaced every 2 s by the role that ends the run."""
        return self.path / "channels.json"

    @property
    def checkpoints(self) -> Path:
        """Folder of checkpoints."""
        return self.path / "checkpoints"

    @property
    def saved_step(self) -> int:
        """Step of the newest checkpoint, 0 for none."""
        return max((int(path.name.rpartition("-")[2]) for path in self.checkpoints.glob("step-*")), default=0)

    def state(self, role: str, index: int) -> Path:
        """Return the folder of a process's own state, which its next start finds again; it makes it itself."""
        return self.path / "state" / f"{role}-{index}"

    def process_log(self, role: str, index: int, incarnation: int, segment: int = 1) -> Path:
        """Return a segment, from 1, of the log of one attempt of one process."""
        return self.logs / f"{role}-{index}.{incarnation}{_suffix(segment)}.log"

    def outcome(self, role: str, index: int) -> Path:
        """Return the file in which a process says how it ended."""
        return self.wiring / f"{role}-{index}.end"

    def make(self) -> None:
        """Create the folder and those in it, private to the owner. Raises FileExistsError when it is taken."""
        self.path.mkdir(mode=0o700)
        for part in (self.wiring, self.logs, self.metrics, self.checkpoints):
            part.mkdir(mode=0o700)


def _suffix(segment: int) -> str:
    """Return the part of a log's name that tells its segments apart; empty for the first."""
    return f".{segment}" if segment > 1 else ""


def home() -> Path:
    """SURREAL_HOME, or ~/.surreal."""
    return Path(os.environ.get("SURREAL_HOME") or Path.home() / ".surreal").expanduser().absolute()


def experiments() -> Path:
    """Return the folder of all experiments, which is made with the first of them."""
    return home() / "experiments"


def make_experiments() -> Path:
    """Return the folder of all experiments, created private (0700) when missing. Raises InvalidInput if that fails."""
    folder = experiments()
    try:
        home().mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        folder.chmod(0o700)
    except OSError as error:
        raise InvalidInput(
            f"SURREAL_HOME: cannot use {folder} for experiments: {error.strerror}. "
            "Set it to a folder of yours that can be written."
        ) from error
    return folder


def names() -> list[str]:
    """Return the experiments there are, in order of name. Raises InvalidInput for a home that cannot be read."""
    try:
        with os.scandir(experiments()) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InvalidInput(
            f"SURREAL_HOME: cannot read {experiments()}: {error.strerror}. Set it to a folder of yours."
        ) from error


def new_folder(name: str) -> Folder:
    """Return the folder that experiment `name` will have; it is not created yet, those above it are."""
    return Folder(make_experiments() / name)


def find(name: str) -> Folder:
    """Return the folder of an experiment that exists. Raises NotFound with the nearest name.

    Looking the name up in a listing keeps `../elsewhere` out.
    """
    place = experiments()
    # a look at every folder for each of many runs would be a look at all, many times
    if not place.is_dir() or name not in os.listdir(place) or not (place / name).is_dir():
        known = names()
        listing = f"There are: {', '.join(known)}." if known else "There are none yet: surreal create experiment.yaml"
        raise NotFound(f"no experiment {name!r}{did_you_mean(name, known)}. {listing}")
    return Folder(place / name)


def read_json(path: Path) -> Any:
    """Plain data from a JSON file of ours."""
    return json.loads(path.read_text())


def file_names(folder: Path, below: str = "") -> list[str]:
    """Return the relative names of the files of `folder` that begin with `below` (`checkpoints/best-`), sorted."""
    start = (folder / below).parent if below else folder
    # walk passes over folders that go meanwhile
    paths = (Path(where, name) for where, _, names in os.walk(start) for name in names)
    found = (path.relative_to(folder).as_posix() for path in paths if path.is_file())
    return sorted(name for name in found if name.startswith(below))


def copy_files(folder: Path, below: str, target: Path) -> None:
    """Copy the files of `folder` whose relative names begin with `below` to `target`."""
    for name in file_names(folder, below):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        # a run that goes on removes its older checkpoints
        with suppress(FileNotFoundError):
            shutil.copy2(folder / name, target / name)


def tail_lines(path: Path, size: int) -> list[bytes]:
    """Return the lines in the last `size` bytes of a file, the first perhaps cut; none when there is no such file."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - size))
            return file.read(size).splitlines()
    except FileNotFoundError:
        return []


def write_json(path: Path, data: Any) -> None:
    """Replace `path` by `data` as JSON so that a reader, and a crash at any moment, sees the old or the new file."""
    write_files({path: json.dumps(data, indent=1)})


def write_files(texts: Mapping[Path, str]) -> None:
    """Replace files of one disk by texts. Raises OSError, with all files as they were, where it has no room for all."""
    written: dict[str, Path] = {}
    try:
        for path, text in texts.items():
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
            written[temporary] = path
            with os.fdopen(handle, "w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        for temporary, path in written.items():
            os.replace(temporary, path)
    except BaseException:
        for temporary in written:
            Path(temporary).unlink(missing_ok=True)
        raise
