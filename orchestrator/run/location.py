"""Location of an experiment: as the command line says, or as was noted when it was created in a cluster.

A note is one small file in SURREAL_HOME/elsewhere, so that `surreal status NAME` finds a run in the cluster it was
started in whatever context is the current one by then. It is a convenience only: the cluster knows its runs itself.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from surreal.orchestrator.run import home
from surreal.protocol.errors import InvalidInput

LOCAL = "local"
CLUSTER = "kube"
"""Backend of options that name a cluster without `--on`."""
RAY = "ray"
"""Backend that may be followed by an address: `ray:10.0.0.1:6379`."""


@dataclass(frozen=True)
class Location:
    """A backend, and which cluster and namespace of a kubeconfig (None is what kubectl would take) or which Ray."""

    backend: str = LOCAL
    namespace: str | None = None
    context: str | None = None
    kubeconfig: str | None = None
    address: str | None = None
    """Address of a Ray cluster; None is the one that RAY_ADDRESS names, or one that surreal starts here."""
    engine: str | None = None
    """Kind of the cluster's objects that a run is: None for Jobs, `ray` for a RayJob."""

    @classmethod
    def of(
        cls,
        on: str,
        namespace: str | None = None,
        context: str | None = None,
        kubeconfig: str | None = None,
        engine: str | None = None,
    ) -> "Location":
        """Return the location that `on` (`local`, `kube`, `ray`, `ray:ADDRESS`) and the options of a cluster name.

        Raises InvalidInput for options of a cluster where `on` is none.
        """
        backend, _, address = on.partition(":")
        options = {"--namespace": namespace, "--context": context, "--kubeconfig": kubeconfig, "--engine": engine}
        for option, value in options.items() if backend in (LOCAL, RAY) else ():
            if value:
                raise InvalidInput(f"{option}: {value!r} is about Kubernetes. Give --on kube, or leave it out.")
        if backend == RAY:
            # `ray://HOST` is how Ray itself writes the address of its client server
            return cls(RAY, address=(on if address.startswith("//") else address) or None)
        return cls(on, namespace, context, kubeconfig, engine=engine)

    @property
    def on(self) -> str:
        """The value of `--on` that means this backend and address."""
        return f"{self.backend}:{self.address}" if self.address else self.backend

    def cluster_option(self) -> str | None:
        """Return the first option that only a cluster has and that is given; None without any."""
        options = {
            "--namespace": self.namespace,
            "--context": self.context,
            "--kubeconfig": self.kubeconfig,
            "--engine": self.engine,
        }
        return next((option for option, value in options.items() if value), None)

    def fits(self, other: "Location") -> bool:
        """Return True if nothing that `other` says is another here."""
        return all(value in (None, asdict(self)[key]) for key, value in asdict(other).items())

    def options(self) -> str:
        """Return the options that name this place: `-n lab --context gke`."""
        given = {
            "-n": self.namespace,
            "--context": self.context,
            "--kubeconfig": self.kubeconfig,
            "--engine": self.engine,
        }
        return " ".join(f"{option} {value}" for option, value in given.items() if value) or f"--on {self.on}"


def remember(name: str, location: Location) -> None:
    """Note where the experiment `name` is, beside other places that have one of that name; the newest comes last."""
    home.make_experiments()  # makes SURREAL_HOME, private to its owner
    _notes().mkdir(mode=0o700, exist_ok=True)
    _write(name, [*(each for each in remembered().get(name, ()) if each != location), location])


def forget(name: str, location: Location | None = None) -> bool:
    """Remove the note of an experiment that is gone, from all places or from one; False if there was none."""
    noted = remembered().get(name, ())
    left = [each for each in noted if location and each != location]
    _write(name, left)
    return len(left) < len(noted)


def remembered() -> dict[str, tuple[Location, ...]]:
    """Return experiment -> its locations, the newest last, for all that were created in a cluster."""
    found = {}
    for path in sorted(_notes().glob("*.json")):
        try:
            noted = home.read_json(path)
            rows = noted if isinstance(noted, list) else [noted]
            found[path.stem] = tuple(Location(**row) for row in rows)
        except (OSError, ValueError, TypeError):
            continue  # a note of a later version, or half of one: the cluster still knows
    return found


def locate(name: str, asked: Location | None, exists: Callable[[Location], bool] = lambda _: True) -> Location:
    """Return the location of the experiment `name`: `asked`, else this machine, else that of the note.

    `exists` tells whether a place that was noted still has it; asked only where several were. Raises InvalidInput for a
    name that is both here and elsewhere, or in several places.
    """
    if asked and (asked.backend == LOCAL or asked.address or asked.cluster_option()):
        return asked
    there = tuple(each for each in remembered().get(name, ()) if not asked or each.backend == asked.backend)
    if not asked and there and name in home.names():
        options = f"--on {LOCAL} or --on {there[-1].on}"
        place = there[-1].context or there[-1].on
        raise InvalidInput(f"{name}: there is an experiment {name!r} here and one in {place}. Say which by {options}.")
    if len(there) > 1:
        there = tuple(each for each in there if exists(each)) or there[-1:]
    if len(there) > 1:
        places = "; ".join(each.options() for each in there)
        raise InvalidInput(f"{name}: there are {len(there)} experiments {name!r}. Say which by its options: {places}")
    # a backend alone, as SURREAL_ON says it, names no other place than the note
    return there[0] if there else asked or Location()


def _write(name: str, noted: Sequence[Location]) -> None:
    note = _notes() / f"{name}.json"
    if not noted:
        note.unlink(missing_ok=True)
    else:
        home.write_json(note, asdict(noted[0]) if len(noted) == 1 else [asdict(each) for each in noted])


def _notes() -> Path:
    return home.home() / "elsewhere"
