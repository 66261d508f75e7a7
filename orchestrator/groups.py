"""Groups: runs that carry the label of one sweep, and the choice of several runs by names, labels and states."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from surreal.orchestrator.backends.base import THIS_MACHINE, backend
from surreal.orchestrator.client import Run, all_names
from surreal.orchestrator.run import home
from surreal.orchestrator.run.home import Folder
from surreal.orchestrator.run.location import Location, remembered
from surreal.orchestrator.run.status import State, Status, label_test
from surreal.protocol.errors import InvalidInput, NotFound, Unreachable

GROUP = "sweep"
"""Label whose value is the name of the group."""
MOST_NAMES = 10
"""Names of runs that an error lists."""


def members(group: str, location: Location | None = None) -> list[str]:
    """Return the names of the runs of a group, sorted; none for a name that is no group."""
    if location is not None and location != THIS_MACHINE:
        return [each.name for each in backend(location).statuses() if each.labels.get(GROUP) == group]
    return [name for name in home.names() if local_labels(name).get(GROUP) == group]


def local_labels(name: str) -> dict[str, str]:
    """Return the labels of a run on this machine; none where its plan cannot be read."""
    try:
        return dict(json.loads(Folder(home.experiments() / name).plan.read_bytes()).get("labels") or {})
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


@dataclass(frozen=True)
class Selection:
    """Choice of runs by labels and states, besides names."""

    selector: str = ""
    states: tuple[State, ...] = ()
    everything: bool = False
    """All runs of the place."""
    everywhere: bool = False
    """All places where runs were created from here."""

    def __bool__(self) -> bool:
        return bool(self.selector or self.states or self.everything or self.everywhere)


def chosen(
    names: Sequence[str], location: Location | None, selection: Selection, tell: Callable[[str], None] = print
) -> list[Run]:
    """Return the runs that names, labels and states choose together; without names, of all runs of the place.

    Raises InvalidInput where nothing is said, and NotFound where nothing fits. `tell` hears of places that do not
    answer.
    """
    if not selection:
        if not names:
            there = ", ".join(home.names()[:MOST_NAMES]) if location in (None, THIS_MACHINE) else ""
            here = f" There are: {there}." if there else ""
            raise InvalidInput(f"NAME: no experiment is named. Name some, or give -l, --state or --all.{here}")
        return runs_of(names, location)
    test = label_test(selection.selector) if selection.selector else None
    wanted = {run.name for run in runs_of(names, location)} if names else None
    fitting = [
        Run.find(status.name, place)
        for place, status in found_in(location, selection.everywhere, tell)
        if (wanted is None or status.name in wanted)
        and (test is None or test(status.labels))
        and (not selection.states or status.state in selection.states)
    ]
    if not fitting:
        raise NotFound("no experiment fits. See them all: surreal list -A")
    return fitting


def found_in(
    location: Location | None, everywhere: bool, tell: Callable[[str], None]
) -> Iterator[tuple[Location, Status]]:
    """Yield place and state of every run of a place, this machine by default, or of all places known here.

    A place that does not answer is told, and left out; of one place alone its error is raised.
    """
    first = location or THIS_MACHINE
    others = (place for noted in remembered().values() for place in noted) if everywhere else ()
    places = list(dict.fromkeys((first, *others)))
    for place in places:
        try:
            for status in backend(place).statuses():
                yield place, status
        except (InvalidInput, Unreachable) as error:
            if len(places) == 1:
                raise
            tell(f"{place.options()}: {error}")
