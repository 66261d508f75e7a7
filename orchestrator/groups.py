"""Groups: runs that carry the label of one sweep, and the choice of several runs by names, labels and states."""

import json
from collections.abc import Callable, Sequence

from surreal.orchestrator.backends.base import THIS_MACHINE, backend
from surreal.orchestrator.client import Run, all_names
from surreal.orchestrator.run import home
from surreal.orchestrator.run.location import Location, remembered
from surreal.orchestrator.run.status import Status, label_test
from surreal.protocol.errors import InvalidInput, NotFound, Unreachable

GROUP = "sweep"
"""Label whose value is the name of the group."""


def members(group: str, location: Location | None = None) -> list[str]:
    """Return the names of the runs of a group, sorted; none for a name that is no group."""
    if location is not None and location != THIS_MACHINE:
        return [each.name for each in backend(location).statuses() if each.labels.get(GROUP) == group]
    return [name for name in home.names() if local_labels(name).get(GROUP) == group]


def local_labels(name: str) -> dict[str, str]:
    """Return the labels of a run on this machine; none where its plan cannot be read."""
    try:
        return dict(json.loads(home.new_folder(name).plan.read_bytes()).get("labels") or {})
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def runs_of(names: Sequence[str], location: Location | None = None) -> list[Run]:
    """Return the runs of these names, each once; the name of a group stands for its runs.

    Raises NotFound for a name that is neither.
    """
    known = set(all_names())
    found: dict[str, Run] = {}
    for name in names:
        own = [] if name in known else members(name, location)
        for each in own or [name]:
            found.setdefault(each, Run.find(each, location))
    return list(found.values())


def chosen(
    names: Sequence[str],
    location: Location | None,
    *,
    selector: str = "",
    state: Sequence[str] = (),
    everything: bool = False,
) -> list[Run]:
    """Return the runs that names, labels and states choose together; without names all runs of the place.

    Raises InvalidInput where nothing is chosen at all, and NotFound where nothing fits.
    """
    if not names and not (selector or state or everything):
        raise InvalidInput("NAME: no experiment is named. Name some, or give -l, --state or --all.")
    if names and not (selector or state):
        return runs_of(names, location)
    test = label_test(selector) if selector else None
    wanted = {run.name for run in runs_of(names, location)} if names else None
    fitting = [
        status
        for status in statuses(location)
        if (wanted is None or status.name in wanted)
        and (test is None or test(status.labels))
        and (not state or status.state in state)
    ]
    if not fitting:
        raise NotFound("no experiment fits. See them all: surreal list -A")
    return [Run.find(status.name, location or _place(status)) for status in fitting]


def _place(status: Status) -> Location | None:
    return THIS_MACHINE if status.backend == THIS_MACHINE.backend else None


def statuses(location: Location | None) -> list[Status]:
    """Return the state of every run of a place; of this machine without one."""
    return list(backend(location or THIS_MACHINE).statuses())


def everywhere(tell: Callable[[str], None]) -> list[Status]:
    """Return the state of every run here, and of all places where runs were created from here.

    A place that does not answer is told, and left out.
    """
    places = dict.fromkeys(place for noted in remembered().values() for place in noted)
    found = statuses(None)
    for place in places:
        try:
            found += backend(place).statuses()
        except (InvalidInput, Unreachable) as error:
            tell(f"{place.options()}: {error}")
    return found
