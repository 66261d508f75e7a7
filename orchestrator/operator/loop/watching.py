"""Watches of the objects that experiments and their runs consist of: who changed, and no more."""

import threading
from collections.abc import Callable

from surreal.protocol.errors import SurrealError
from surreal.provisioner.kube.client import Api
from surreal.provisioner.kube.kinds import INSTANCE, MANAGED_BY, OWNER, Object
from surreal.provisioner.kube.objects import dig, name_of, text
from surreal.provisioner.kube.retries import Complaint

WATCH_S = 240.0
"""Seconds after which a watch lists anew, so that a silent one is not trusted for longer."""
RENEWAL_S = {True: 5.0, False: 60.0}
"""Seconds after which a watch begins anew where it was: of a kind that a definition makes, and of any other."""
AGAIN_S = 2.0
"""Seconds between two tries to watch."""

Changed = Callable[[str, str, bool], None]
"""(kind of resource, its name, whether a person waits for it)."""


Mark = tuple[object, ...]
"""Part of a thing whose change is worth a look."""


class Watcher:
    """One thread for each kind; it tells the names of resources whose state may have changed."""

    def __init__(self, api: Api, kind: str, changed: Changed, tell: Callable[[str], None]) -> None:
        self._api, self._kind, self._changed = api, kind, changed
        self._own = kind in ("Experiment", "Sweep")
        self._marks: dict[str, Mark] = {}
        self._there: set[str] = set()
        """Names in the list that is being read."""
        self._complaint = Complaint(tell)
        self._ended = threading.Event()
        self.listed = threading.Event()
        """Set once all that is there was told."""

    def run(self) -> None:
        """Watch until `end`."""
        labels = "" if self._own else f"{MANAGED_BY}={OWNER}"
        while not self._ended.is_set():
            # A list that broke off is not read to its end: what it had may be gone by now.
            self._there = set()
            try:
                for what, each in self._api.changes(self._kind, labels, WATCH_S, RENEWAL_S[self._own]):
                    if self._ended.is_set():
                        return
                    self._take(what, each)
            except SurrealError as error:
                self._complaint.say(f"watch of {self._kind}: {error}")
            except Exception as error:
                # A fault with one object must not make it deaf to all others.
                self._complaint.say(f"watch of {self._kind}: fault of the operator: {error!r}")
            self._ended.wait(AGAIN_S)

    def end(self) -> None:
        """Have it stop with the next change."""
        self._ended.set()

    def _take(self, what: str, each: Object) -> None:
        if what == "LISTED":
            self._end_list()
            return
        if what == "THERE":
            self._there.add(name_of(each))
        if what == "DELETED":
            self._marks.pop(name_of(each), None)
            self._pass_on(each, False)
            return
        mark = self._mark(each)
        if self._marks.get(name_of(each)) != mark:
            self._marks[name_of(each)] = mark
            self._pass_on(each, self._own and self.listed.is_set() and what != "THERE")
        elif self._kind == "Experiment" and what != "THERE":
            self._tell_owner(each)

    def _end_list(self) -> None:
        """Pass on what went away unseen."""
        for name in self._marks.keys() - self._there:
            del self._marks[name]
            if self._own:
                self._changed(self._kind, name, False)
        self._there = set()
        self.listed.set()

    def _mark(self, each: Object) -> Mark:
        """Return what matters of a thing; of the operator's own kinds that is what a person changes."""
        about = each["metadata"]
        if not self._own:
            return (about.get("resourceVersion"),)
        annotations = hash(repr(sorted((about.get("annotations") or {}).items())))
        return (about.get("uid"), about.get("generation"), annotations, bool(about.get("deletionTimestamp")))

    def _pass_on(self, each: Object, urgent: bool) -> None:
        """Tell the resource that this is or belongs to."""
        if self._own:
            self._changed(self._kind, name_of(each), urgent)
            self._tell_owner(each)
        elif name := text(each, "metadata", "labels", INSTANCE):
            self._changed("Experiment", name, False)

    def _tell_owner(self, each: Object) -> None:
        """Pass on the sweep that a run belongs to."""
        for owner in dig(each, "metadata", "ownerReferences") or ():
            if owner.get("kind") == "Sweep":
                self._changed("Sweep", owner["name"], False)
