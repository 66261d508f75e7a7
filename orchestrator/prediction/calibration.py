"""Calibrations: measured seconds per step of an environment and a network on one machine, kept as files."""

import hashlib
import json
import platform
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from surreal.orchestrator.prediction.queueing import Service
from surreal.orchestrator.run.home import home, write_json

VERSION = metadata.version("surreal")
FORMAT = 3
"""Version of the files."""
FOLDER = "calibrations"
MANY = 4
"""Actors of the larger of the two runs of a calibration."""
SHIPPED = Path(__file__).parent / FOLDER
"""Calibrations of the examples that come with surreal, of the machine that each names."""
SPEED_ALIKE = (
    "total_steps",
    "stop_at_return",
    "return_window",
    "max_staleness",
    "gather_patience",
    "evaluate_every_seconds",
    "evaluate_episodes",
    "evaluation_episode_cap",
    "learning_rate",
    "actor_learning_rate",
    "value_learning_rate",
    "value_step_inputs",
    "gamma",
    "gae_lambda",
    "value_coef",
    "max_kl",
    "entropy_coef",
    "optimizer_epsilon",
    "clip",
    "seed",
)
"""Keys of a config that do not change what a step costs; those that say who waits for whom are the model's."""


@dataclass(frozen=True)
class Machine:
    """The machine of a calibration, as far as its speed depends on it."""

    processor: str
    cores: float
    python: str
    gpu: str = ""

    @classmethod
    def here(cls) -> "Machine":
        """Return this machine."""
        return _here()

    @property
    def words(self) -> str:
        """The machine in a few words."""
        gpu = f", {self.gpu}" if self.gpu else ""
        return f"{self.processor}, {self.cores:g} cores, Python {self.python}{gpu}"


@cache
def _here() -> Machine:
    from surreal.provisioner.pools.local import gpu_names, usable_cores

    gpus = gpu_names()
    return Machine(_processor(), usable_cores(), ".".join(platform.python_version_tuple()[:2]), gpus[0] if gpus else "")


def _processor() -> str:
    """Return the processor's name as Linux says it, or its kind."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


@dataclass(frozen=True)
class Calibration:
    """Service times of one experiment on one machine."""

    key: str
    """Hash of the environment, the algorithm and all settings that a step's cost depends on."""
    env: str
    algorithm: str
    machine: Machine
    services: Mapping[str, Service]
    """Role -> times of one of its processes, in a run of one actor."""
    more: Mapping[str, Service] = field(default_factory=dict)
    """The same in a run of MANY actors; empty where that was not measured."""
    steady: float = 0.0
    """Cores that roles beside actors and learner use all the time."""
    per_step: float = 0.0
    """Core seconds of such roles for each environment step."""
    measured: float = 0.0
    """Steps per second of the run of one actor."""
    measured_many: float = 0.0
    """The same of the run of MANY actors."""
    ahead: int | None = None
    """Updates that actors were let ahead of the learner in them; None without a bound."""
    replicas: Mapping[str, int] = field(default_factory=dict)
    """Its processes."""
    version: str = VERSION
    at: str = ""
    format: int = FORMAT
    shipped: bool = False
    """It came with surreal."""

    def write(self, folder: Path | None = None) -> Path:
        """Keep it; return its file."""
        folder = folder or home() / FOLDER
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        digest = hashlib.sha256(self.machine.words.encode()).hexdigest()[:8]
        path = folder / f"{self.algorithm.replace(':', '-')}-{self.key}-{digest}.json"
        write_json(path, self.to_data())
        return path

    def to_data(self) -> dict[str, Any]:
        """Return plain data that `parse` reads."""
        return {name: value for name, value in asdict(self).items() if name != "shipped"}

    def service(self, role: str, actors: int) -> Service:
        """Return the times of one process of a role in a run of so many actors: on the line through both runs.

        It is a line of 1/actors: what costs the same for each update, or each look at a channel, is shared by the steps
        that all actors bring.
        """
        one, many = self.services[role], self.more.get(role)
        if many is None:
            return one
        share = share_of_many(actors)
        return Service(
            _along(one.seconds, many.seconds, share),
            _along(one.cpu, many.cpu, share),
            one.spread if actors == 1 else many.spread,
            max(one.memory, many.memory),
        )

    @classmethod
    def parse(cls, data: Any) -> "Calibration":
        """Return what `write` wrote. Raises ValueError for anything else, and for another format."""
        try:
            if data["format"] != FORMAT:
                raise ValueError(f"format {data['format']}, and this version reads {FORMAT}")
            read = {
                name: {str(role): Service(**times) for role, times in data[name].items()}
                for name in ("services", "more")
            }
            found = cls(**{**data, "machine": Machine(**data["machine"]), **read})
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"no calibration: {error}") from None
        _check(found)
        return found


def _check(found: Calibration) -> None:
    """Raise ValueError for values that are none, which a damaged file may have."""
    services = [times for each in (found.services, found.more) for times in each.values()]
    times = [each for service in services for each in (service.seconds, service.cpu, service.spread)]
    if not found.services or not all(_number(each, 1e6) for each in times) or not all(s.seconds for s in services):
        raise ValueError("no calibration: times that are none")
    rest = [found.steady, found.per_step, found.measured, found.measured_many, found.machine.cores]
    rest += [each.memory for each in services]
    machine = found.machine.processor, found.machine.python, found.machine.gpu
    words = found.key, found.env, found.algorithm, found.version, found.at, *machine
    if found.ahead is not None:
        rest.append(found.ahead)
    if not all(_number(each, 1e15) for each in rest) or not all(isinstance(each, str) for each in words):
        raise ValueError("no calibration: values of other kinds")


def _number(value: object, most: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < most


def share_of_many(actors: int) -> float:
    """Return how far so many actors are from one (0) to MANY (1), on a line of 1/actors."""
    return (1 - 1 / actors) / (1 - 1 / MANY)


def _along(one: float, many: float, share: float) -> float:
    """Return the value on the line from `one` to `many`; beyond both it changes no further than by half."""
    return max(one + share * (many - one), many / 2)


def key_of(algorithm: str, env: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """Return the hash under which calibrations are kept."""
    costly = {name: value for name, value in config.items() if name not in SPEED_ALIKE}
    stepped = {name: env.get(name) for name in ("id", "copies", "options", "stepping", "wrappers")}
    text = json.dumps([algorithm, stepped, costly], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Found:
    """The calibrations of one experiment."""

    own: Calibration | None
    """Measurements of this machine and this version, or else those that came with surreal of a machine like it."""
    others: tuple[Calibration, ...]
    """Measurements of other machines."""
    notes: tuple[str, ...]
    """Sentences on files that were not used."""


def find(key: str, folder: Path | None = None, machine: Machine | None = None) -> Found:
    """Return the calibrations of a key: one's own, and those that came with surreal."""
    machine, notes = machine or Machine.here(), list[str]()
    known = [each for each in _all(folder or home() / FOLDER, notes) if each.key == key]
    current = [each for each in known if each.version == VERSION or each.shipped]
    notes += [
        f"the calibration of {each.at[:10]} was made by surreal {each.version}, this is {VERSION}: it is not used"
        for each in known
        if each not in current
    ]
    own = [each for each in current if each.machine == machine]
    others = [each for each in current if each.machine != machine]
    # Machines of one description are many: what was measured here comes first, however old.
    newest = max(own, key=lambda each: (not each.shipped, each.at), default=None)
    return Found(newest, tuple(sorted(others, key=lambda each: each.at)), tuple(notes))


def _all(folder: Path, notes: list[str]) -> Iterator[Calibration]:
    yield from _read(sorted(folder.glob("*.json")) if folder.is_dir() else (), notes, shipped=False)
    yield from _read(sorted(SHIPPED.glob("*.json")), notes, shipped=True)


def _read(paths: Iterable[Path], notes: list[str], shipped: bool) -> Iterator[Calibration]:
    for path in paths:
        try:
            yield replace(Calibration.parse(json.loads(path.read_text())), shipped=shipped)
        except (OSError, ValueError, RecursionError) as error:
            notes.append(f"{path.name} is left out: {error}")
