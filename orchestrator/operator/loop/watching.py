"""Watches of the objects that experiments and their runs consist of: who changed, and no more."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from surreal.protocol.errors import SurrealError
from surreal.provisioner.kube.client import Api
from surreal.provisioner.kube.kinds import INSTANCE, MANAGED_BY, OWNER, Object
from surreal.provisioner.kube.objects import dig, name_of, text

WATCH_S = 240.0
"""Seconds after which a watch lists anew, so that a silent one is not trusted for longer."""
RENEWAL_S = {True: 5.0, False: 60.0}
"""Seconds after which a watch begins anew where it was: of a kind that a definition makes, and of any other."""
AGAIN_S = 2.0
"""Seconds between two tries to watch."""

Changed = Callable[[str, str, bool], None]
"""(kind of resource, its name, whether a person waits for it)."""


@dataclass(frozen=True)
class _Mark:
    """Part of a resource that only a person changes."""

    uid: str
    generation: int
    annotations: str
    leaving: bool


class Watcher:
    """One thread for each kind; it tells the names of resources whose state may have changed."""

    def __init__(self, api: Api, kind: str, changed: Changed, tell: Callable[[str], None]) -> None:
        self._api, self._kind, self._changed, self._tell = api, kind, changed, tell
        self._own = kind in ("Experiment", "Sweep")
        self._marks: dict[str, _Mark] = {}
        self._ended = threading.Event()
        self.listed = threading.Event()
        """Set once all that is there was told."""

    def run(self) -> None:
        """Watch until `end`."""
        labels = "" if self._own else f"{MANAGED_BY}={OWNER}"
        while not self._ended.is_set():
            try:
                for what, each in self._api.changes(self._kind, labels, WATCH_S, RENEWAL_S[self._own]):
                    if self._ended.is_set():
                        return
                    self._take(what, each)
            except SurrealError as error:
                self._tell(f"watch of {self._kind}: {error}")
            self._ended.wait(AGAIN_S)

    def end(self) -> None:
        """Have it stop with the next change."""
        self._ended.set()

    def _take(self, what: str, each: Object) -> None:
        if what == "LISTED":
            self.listed.set()
        elif self._own:
            self._take_own(what, each)
        elif name := text(each, "metadata", "labels", INSTANCE):
            self._changed("Experiment", name, False)

    def _take_own(self, what: str, each: Object) -> None:
        """Pass on a resource unless only its status has changed, which is the operator's own doing."""
        name = name_of(each)
        if what == "DELETED":
            self._marks.pop(name, None)
            self._changed(self._kind, name, False)
            self._tell_owner(each)
            return
        mark = _Mark(
            text(each, "metadata", "uid"),
            dig(each, "metadata", "generation") or 0,
            repr(sorted((dig(each, "metadata", "annotations") or {}).items())),
            bool(dig(each, "metadata", "deletionTimestamp")),
        )
        if self._marks.get(name) != mark:
            self._marks[name] = mark
            self._changed(self._kind, name, self.listed.is_set() and what != "THERE")
        if self._kind == "Experiment":
            self._tell_owner(each)

    def _tell_owner(self, each: Object) -> None:
        """Pass on the sweep that a run belongs to."""
        for owner in dig(each, "metadata", "ownerReferences") or ():
            if owner.get("kind") == "Sweep":
                self._changed("Sweep", owner["name"], False)
