"""The API server as a uniform store of JSON objects: `api.get("Pod", name)`, `api.apply("Job", job)`.

Requests are sent again where that can help (`retries`); `transport` says what went wrong otherwise.
"""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

from surreal.provisioner.kube.errors import ABSENT, FORBIDDEN, GONE, AbsentError, ApiError
from surreal.provisioner.kube.kinds import FIELD_MANAGER, KINDS, Object
from surreal.provisioner.kube.kubeconfig import access
from surreal.provisioner.kube.retries import Retries
from surreal.provisioner.kube.transport import CONNECT, Transport

PAGE, SMALL_PAGE = 500, 100
"""Objects of one answer, and of one whose objects are not kept."""
RELIST, BREATH = 60.0, 0.2
"""Seconds after which a watch lists again, so that a silent one is never trusted for longer, and at least waits."""
APPLY, MERGE = "application/apply-patch+yaml", "application/merge-patch+json"
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
METADATA_LIST = METADATA.replace("PartialObjectMetadata;", "PartialObjectMetadataList;")
Objects = list[Object]
"""Said so because the method `list` hides the built-in where methods are declared."""


def _quiet(_text: str) -> None:
    """Drop the message."""


class Api:
    """One namespace of one cluster, for any number of threads. Every method may raise ApiError with a sentence."""

    def __init__(
        self,
        transport: Transport,
        talk: Callable[[str], None] = _quiet,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._transport = transport
        self.talk = talk
        """Told, as one line each, what a person who waits should know."""
        self.pause = pause
        """Waits so many seconds."""
        self.retries = Retries(talk, pause)

    @classmethod
    def connect(
        cls,
        kubeconfig: str | None = None,
        context: str | None = None,
        namespace: str | None = None,
        talk: Callable[[str], None] = _quiet,
    ) -> "Api":
        """Make a client of the cluster that `access` finds. Sends nothing yet. Raises InvalidInput as `access` does."""
        return cls(Transport(lambda: access(kubeconfig, context, namespace), talk), talk)

    @property
    def client(self) -> Any:
        """kubernetes.client.ApiClient, for what is no plain request: websockets."""
        return self._transport.access.client

    def headers(self) -> list[tuple[str, str]]:
        """Return the headers that tell the server who asks, for websockets."""
        return self._transport.access.headers()

    @property
    def context(self) -> str:
        """The kubeconfig's name for the cluster."""
        return self._transport.access.context

    @property
    def namespace(self) -> str:
        """The namespace of all objects that have one."""
        return self._transport.access.namespace

    def get(self, kind: str, name: str) -> Object:
        """Return one object. Raises AbsentError (a NotFound) if there is none."""
        return self._json("GET", self._path(kind, name))

    def find(self, kind: str, name: str) -> Object | None:
        """Return one object, or None."""
        try:
            return self.get(kind, name)
        except AbsentError:
            return None

    def find_if_allowed(self, kind: str, name: str) -> Object | None:
        """Return one object of a kind that few clusters have, or None.

        A server answers 403 for a kind that it does not know, unless the user may see every kind.
        """
        try:
            return self.get(kind, name)
        except ApiError as error:
            if error.status not in (ABSENT, FORBIDDEN):
                raise
            return None

    def list(self, kind: str, labels: str = "", fields: str = "", everywhere: bool = False) -> Objects:
        """Return all objects of a kind that the selectors allow, page by page; of all namespaces if `everywhere`."""
        items, _version = self._list(kind, labels, fields, everywhere)
        return items

    def pages(self, kind: str, fields: str = "") -> Iterator[Objects]:
        """Yield all objects of a kind in the namespace, page by page: thousands of them are no memory.

        Begins anew where the server has forgotten the list meanwhile, so that an object can come twice.
        """
        query = _selectors("", fields) | {"limit": str(SMALL_PAGE)}
        return (items for items, _about in self._pages(kind, query, self._path(kind), ""))

    def post(self, kind: str, made: Object, dry_run: bool = False, strict: bool = False) -> Object:
        """Make an object that is not there yet, or ask a review; `strict` refuses unknown keys."""
        query = {**_dry(dry_run), "fieldManager": FIELD_MANAGER, **({"fieldValidation": "Strict"} if strict else {})}
        return self._json("POST", self._path(kind), query, made)

    def apply(self, kind: str, wanted: Object, dry_run: bool = False, force: bool = False) -> Object:
        """Make or change an object so that it has the fields of `wanted`: server-side apply.

        `force` takes over fields that another client set, which is an error otherwise.
        """
        query = {**_dry(dry_run), "fieldManager": FIELD_MANAGER, "force": str(force).lower()}
        return self._json("PATCH", self._path(kind, wanted["metadata"]["name"]), query, wanted, APPLY)

    def patch(self, kind: str, name: str, change: Object) -> Object:
        """Change fields of an object: a JSON merge patch, so null removes and a list replaces."""
        query = {"fieldManager": FIELD_MANAGER}
        return self._json("PATCH", self._path(kind, name), query, change, MERGE)

    def patch_status(self, kind: str, name: str, status: Object, version: str = "") -> Object:
        """Change fields of an object's status, which has a path of its own.

        Raises ApiError (409) where the object has changed since this `version`: the status may be another one's.
        """
        query, about = {"fieldManager": FIELD_MANAGER}, {"metadata": {"resourceVersion": version}} if version else {}
        return self._json("PATCH", self._path(kind, name) + "/status", query, {**about, "status": status}, MERGE)

    def delete(self, kind: str, name: str, propagation: str = "Background") -> bool:
        """Have an object removed; False if there was none."""
        try:
            self._json("DELETE", self._path(kind, name), {}, {"propagationPolicy": propagation})
        except AbsentError:
            return False
        return True

    def delete_all(self, kind: str, labels: str) -> None:
        """Have all objects of a kind that the selector allows removed, in one request."""
        self._json("DELETE", self._path(kind), _selectors(labels, ""), {"propagationPolicy": "Background"})

    def watch(self, kind: str, labels: str = "", fields: str = "", seconds: float = RELIST) -> Iterator[Objects]:
        """Yield the list of objects now and again after each change, for so many seconds."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            items, version = self._list(kind, labels, fields, False)
            there = {each["metadata"]["name"]: each for each in items}
            yield list(there.values())
            query = _selectors(labels, fields) | {"watch": "true", "resourceVersion": version}
            for event in self._events(kind, query, min(left, RELIST)):
                if event["type"] in ("ADDED", "MODIFIED"):
                    there[event["object"]["metadata"]["name"]] = event["object"]
                elif event["type"] == "DELETED":
                    there.pop(event["object"]["metadata"]["name"], None)
                elif event["type"] == "ERROR":
                    # the version is too old to go on from (410): list again
                    break
                yield list(there.values())
            self.pause(BREATH)

    def changes(
        self, kind: str, labels: str = "", seconds: float = RELIST, renewal: float = RELIST
    ) -> Iterator[tuple[str, Object]]:
        """Yield ("THERE", object) for all there are, ("LISTED", {}), then each change as it comes, for so many seconds.

        Objects have their metadata alone: thousands of them are no weight. Ends early where the server forgets the
        version, as after a compaction: call it again. Watches anew every `renewal` seconds, from the last version:
        where a definition changes, a server can leave a watch open that never hears of anything.
        """
        version, first = "", _selectors(labels, "") | {"limit": str(SMALL_PAGE)}
        for page, about in self._pages(kind, first, self._path(kind), METADATA_LIST):
            version = about.get("resourceVersion", "")
            while page:
                # Not kept while it watches, which is long.
                yield "THERE", page.pop()
        yield "LISTED", {}
        end = time.monotonic() + seconds
        query = _selectors(labels, "") | {"watch": "true", "allowWatchBookmarks": "true"}
        while (left := end - time.monotonic()) > 0:
            query["resourceVersion"] = version
            for event in self._events(kind, query, min(left, renewal), METADATA):
                if event["type"] == "ERROR":
                    return
                version = event["object"]["metadata"]["resourceVersion"]
                if event["type"] != "BOOKMARK":
                    yield event["type"], event["object"]
            self.pause(BREATH)

    def log(
        self,
        pod: str,
        container: str,
        follow: bool = False,
        since: str | None = None,
        tail: int | None = None,
        previous: bool = False,
        timestamps: bool = False,
    ) -> Any:
        """Return the log of a container as a urllib3 response to iterate over and to close.

        `since` is a moment in RFC 3339. A stream that is silent for 60 s raises, so that no caller waits on a dead one.
        """
        given = {"sinceTime": since, "tailLines": tail, "container": container}
        flags = {"follow": follow, "previous": previous, "timestamps": timestamps}
        query = {key: str(value) for key, value in given.items() if value is not None}
        query |= {key: "true" for key, value in flags.items() if value}
        return self._open(self._path("Pod", pod) + "/log", query, read=RELIST)

    def raw_get(self, path: str, query: dict[str, str] | None = None) -> Object:
        """Return the answer of any path of the API, such as `/version`."""
        return self._json("GET", path, query)

    def _path(self, kind: str, name: str = "", everywhere: bool = False) -> str:
        return KINDS[kind].path(None if everywhere else self.namespace, name)

    def _list(self, kind: str, labels: str, fields: str, everywhere: bool, accept: str = "") -> tuple[Objects, str]:
        """Return all objects, and the version of the list to watch from."""
        query = _selectors(labels, fields) | {"limit": str(PAGE)}
        items: Objects = []
        version = ""
        for page, about in self._pages(kind, query, self._path(kind, everywhere=everywhere), accept):
            items = page if about.get("first") else items + page
            version = about.get("resourceVersion", "")
        return items, version

    def _pages(
        self, kind: str, first: dict[str, str], path: str, accept: str
    ) -> Iterator[tuple[Objects, dict[str, Any]]]:
        """Yield the objects of each page and what the server says of it; `first` is true where the list begins anew."""
        # Objects of a list do not say what they are.
        own = {"apiVersion": KINDS[kind].version, "kind": kind}
        query = dict(first)
        while True:
            try:
                page = self._json("GET", path, query, accept=accept)
            except ApiError as error:
                if error.status != GONE or "continue" not in query:
                    raise
                # The server has forgotten the list that was read page by page: from the start.
                query = dict(first)
                continue
            about = page.get("metadata") or {}
            found = [{**each, **own} if accept else {**own, **each} for each in page.get("items") or ()]
            yield found, {**about, "first": "continue" not in query}
            if not about.get("continue"):
                return
            query["continue"] = about["continue"]

    def _events(self, kind: str, query: dict[str, str], seconds: float, accept: str = "") -> Iterator[Object]:
        """Yield the events of a watch within so many seconds."""
        from urllib3.exceptions import HTTPError

        query = {**query, "timeoutSeconds": str(max(1, round(seconds)))}
        answer = self._open(self._path(kind), query, read=seconds + CONNECT, accept=accept)
        rest = b""
        try:
            for part in answer.stream(None):
                *lines, rest = (rest + part).split(b"\n")
                yield from (json.loads(line) for line in lines if line.strip())
        except (HTTPError, OSError):
            return  # the caller lists again
        finally:
            answer.close()

    def _json(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        body: Object | None = None,
        form: str = "",
        accept: str = "",
    ) -> Object:
        versioned = bool(((body or {}).get("metadata") or {}).get("resourceVersion"))
        return self.retries.call(
            lambda: self._transport.document(method, path, query or {}, body, form, accept), versioned
        )

    def _open(self, path: str, query: dict[str, str], read: float, accept: str = "") -> Any:
        return self.retries.call(lambda: self._transport.open("GET", path, query, read=read, accept=accept))


def _dry(dry_run: bool) -> dict[str, str]:
    return {"dryRun": "All"} if dry_run else {}


def _selectors(labels: str, fields: str) -> dict[str, str]:
    return ({"labelSelector": labels} if labels else {}) | ({"fieldSelector": fields} if fields else {})
