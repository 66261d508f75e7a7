"""Location of an experiment: as the command line says, or as was noted when it was created in a cluster.

A note is one small file in SURREAL_HOME/elsewhere, so that `surreal status NAME` finds a run in the cluster it was
started in whatever context is the current one by then. It is a convenience only: the cluster knows its runs itself.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

from surreal.orchestrator.run import home
from surreal.protocol.errors import InvalidInput

LOCAL = "local"
CLUSTER = "kube"
"""Backend of options that name a cluster without `--on`."""


@dataclass(frozen=True)
class Location:
    """A backend, and which cluster and namespace of a kubeconfig; None is what kubectl would take."""

    backend: str = LOCAL
    namespace: str | None = None
    context: str | None = None
    kubeconfig: str | None = None

    def cluster_option(self) -> str | None:
        """Return the first option that only a cluster has and that is given; None without any."""
        options = {"--namespace": self.namespace, "--context": self.context, "--kubeconfig": self.kubeconfig}
        return next((option for option, value in options.items() if value), None)


def remember(name: str, location: Location) -> None:
    """Note where the experiment `name` is."""
    home.experiments()  # makes SURREAL_HOME, private to its owner
    _notes().mkdir(mode=0o700, exist_ok=True)
    home.write_json(_notes() / f"{name}.json", asdict(location))


def forget(name: str) -> bool:
    """Remove the note of an experiment that is gone; False if there was none."""
    note = _notes() / f"{name}.json"
    noted = note.exists()
    note.unlink(missing_ok=True)
    return noted


def remembered() -> dict[str, Location]:
    """Return experiment -> location, for all that were created in a cluster."""
    found = {}
    for path in sorted(_notes().glob("*.json")):
        try:
            found[path.stem] = Location(**home.read_json(path))
        except (OSError, ValueError, TypeError):
            continue  # a note of a later version, or half of one: the cluster still knows
    return found


def locate(name: str, asked: Location | None) -> Location:
    """Return the location of the experiment `name`: `asked`, else this machine, else that of the note.

    Raises InvalidInput for a name that is both here and elsewhere.
    """
    if asked:
        return asked
    there = remembered().get(name)
    if there and name in home.names():
        options = f"--on {LOCAL} or --on {there.backend}"
        raise InvalidInput(f"there is an experiment {name!r} here and one in {there.context}: say which by {options}")
    return there or Location()


def _notes() -> Path:
    return home.home() / "elsewhere"
