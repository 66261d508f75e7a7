"""The API server as a uniform store of JSON objects: `api.get("Pod", name)`, `api.apply("Job", job)`.

The only module of the orchestrator that imports `kubernetes`, whose typed models take ten times as long as JSON.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from urllib.parse import urlencode

from surreal.orchestrator.kube.failures import Absent, ApiError
from surreal.orchestrator.kube.kinds import KINDS
from surreal.orchestrator.kube.names import FIELD_MANAGER, Object
from surreal.provisioner.access import access

CONNECT, READ = 5.0, 30.0
"""Seconds to connect, and to wait for an answer or the next part of it."""
PAGE = 500
"""Objects of one answer."""
RELIST = 60
"""Seconds after which a watch lists again, so that a silent one is never trusted for longer."""
APPLY, MERGE = "application/apply-patch+yaml", "application/merge-patch+json"


Objects = list[Object]
"""Said so because the method `list` hides the built-in where methods are declared."""


def _quiet(_text: str) -> None:
    """Nobody listens."""


class Api:
    """One namespace of one cluster. Every method raises SurrealError with a sentence when it fails."""

    def __init__(
        self,
        client: Any,
        context: str,
        namespace: str,
        talk: Callable[[str], None] = _quiet,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.client = client
        """kubernetes.client.ApiClient, for what is no plain request: websockets."""
        self.context = context
        self.namespace = namespace
        self.talk = talk
        """Told, as one line each, what a person who waits should know."""
        self.pause = pause
        """Waits so many seconds before the next try."""

    @classmethod
    def connect(
        cls,
        kubeconfig: str | None = None,
        context: str | None = None,
        namespace: str | None = None,
        talk: Callable[[str], None] = _quiet,
    ) -> "Api":
        """As `access` finds the cluster; sends nothing yet. Raises InvalidInput without a usable kubeconfig."""
        found = access(kubeconfig, context, namespace)
        return cls(found.client, found.context, found.namespace, talk)

    def get(self, kind: str, name: str) -> Object:
        """One object. Raises Absent (a NotFound) if there is none."""
        return self._json("GET", self._path(kind, name))

    def find(self, kind: str, name: str) -> Object | None:
        """One object, or None."""
        try:
            return self.get(kind, name)
        except Absent:
            return None

    def list(self, kind: str, labels: str = "", fields: str = "", everywhere: bool = False) -> Objects:
        """All objects of a kind that the selectors allow, page by page; of all namespaces if `everywhere`."""
        items, _version = self._list(kind, labels, fields, everywhere)
        return items

    def post(self, kind: str, made: Object, dry_run: bool = False) -> Object:
        """Make an object that is not there yet, or ask a review."""
        return self._json("POST", self._path(kind), _dry(dry_run), made)

    def apply(self, kind: str, wanted: Object, dry_run: bool = False, force: bool = False) -> Object:
        """Make or change an object so that it has the fields of `wanted`: server-side apply.

        `force` takes over fields that somebody else set, which is an error otherwise.
        """
        query = {**_dry(dry_run), "fieldManager": FIELD_MANAGER, "force": str(force).lower()}
        return self._json("PATCH", self._path(kind, wanted["metadata"]["name"]), query, wanted, APPLY)

    def patch(self, kind: str, name: str, change: Object) -> Object:
        """Change fields of an object: a JSON merge patch, so null removes and a list replaces."""
        query = {"fieldManager": FIELD_MANAGER}
        return self._json("PATCH", self._path(kind, name), query, change, MERGE)

    def delete(self, kind: str, name: str, propagation: str = "Background") -> bool:
        """Have an object removed; False if there was none."""
        try:
            self._json("DELETE", self._path(kind, name), {}, {"propagationPolicy": propagation})
        except Absent:
            return False
        return True

    def watch(self, kind: str, labels: str = "", fields: str = "", seconds: float = RELIST) -> Iterator[Objects]:
        """The list of objects now and again after each change, for so many seconds."""
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
        """The log of a container as a urllib3 response to iterate over and to close.

        `since` is a moment in RFC 3339. A stream that is silent for 60 s raises, so that nobody waits on a dead one.
        """
        given = {"sinceTime": since, "tailLines": tail, "container": container}
        flags = {"follow": follow, "previous": previous, "timestamps": timestamps}
        query = {key: str(value) for key, value in given.items() if value is not None}
        query |= {key: "true" for key, value in flags.items() if value}
        return self._send("GET", self._path("Pod", pod) + "/log", query, read=RELIST)

    def raw_get(self, path: str, query: dict[str, str] | None = None) -> Object:
        """Any path of the API, such as `/version`."""
        return self._json("GET", path, query)

    def websocket(self, pod: str, action: str, query: Sequence[tuple[str, str]]) -> Any:
        """A connection to a pod, `exec` or `portforward`: `kubernetes.stream.ws_client`'s object for it, in bytes."""
        from kubernetes.client import ApiException
        from kubernetes.stream import ws_client

        call = {"exec": ws_client.websocket_call, "portforward": ws_client.portforward_call}[action]
        url = self.client.configuration.host + self._path("Pod", pod) + f"/{action}"
        try:
            return call(
                self.client.configuration,
                "GET",
                url,
                query_params=query,
                headers=self._headers(),
                _preload_content=False,
                binary=True,
            )
        except ApiException as error:
            raise ApiError(f"the API server does not open {action} of pod {pod}: {error.reason}") from None

    def _path(self, kind: str, name: str = "", everywhere: bool = False) -> str:
        return KINDS[kind].path(None if everywhere else self.namespace, name)

    def _list(self, kind: str, labels: str, fields: str, everywhere: bool) -> tuple[Objects, str]:
        """All objects, and the version of the list to watch from."""
        query = _selectors(labels, fields) | {"limit": str(PAGE)}
        items: list[Object] = []
        while True:
            page = self._json("GET", self._path(kind, everywhere=everywhere), query)
            # objects of a list do not say what they are
            items += [{"apiVersion": KINDS[kind].version, "kind": kind, **each} for each in page.get("items") or ()]
            after = page["metadata"].get("continue")
            if not after:
                return items, page["metadata"].get("resourceVersion", "")
            query["continue"] = after

    def _events(self, kind: str, query: dict[str, str], seconds: float) -> Iterator[Object]:
        """What a watch tells within so many seconds."""
        from urllib3.exceptions import HTTPError

        query = {**query, "timeoutSeconds": str(max(1, round(seconds)))}
        answer = self._send("GET", self._path(kind), query, read=seconds + CONNECT)
        rest = b""
        try:
            for part in answer.stream(None):
                *lines, rest = (rest + part).split(b"\n")
                yield from (json.loads(line) for line in lines if line.strip())
        except (HTTPError, OSError):
            return  # whoever watches lists again
        finally:
            answer.close()

    def _json(
        self, method: str, path: str, query: dict[str, str] | None = None, body: Object | None = None, form: str = ""
    ) -> Object:
        answer = self._send(method, path, query or {}, body, form)
        document: Object = json.loads(answer.data)
        return document

    def _headers(self) -> dict[str, str]:
        settings = self.client.configuration.auth_settings().values()
        return {each["key"]: each["value"] for each in settings if each["in"] == "header"}

    def _send(
        self,
        method: str,
        path: str,
        query: dict[str, str],
        body: Object | None = None,
        form: str = "",
        read: float = READ,
    ) -> Any:
        """A urllib3 response of which only the head was read."""
        from urllib3 import Timeout
        from urllib3.exceptions import HTTPError

        headers = self._headers() | {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = form or "application/json"
        try:
            answer = self.client.rest_client.pool_manager.request(
                method,
                self.client.configuration.host + path + (f"?{urlencode(query)}" if query else ""),
                body=None if body is None else json.dumps(body).encode(),
                headers=headers,
                timeout=Timeout(connect=CONNECT, read=read),
                retries=False,
                preload_content=False,
            )
        except (HTTPError, OSError) as error:
            raise ApiError(f"the API server of context {self.context} does not answer: {error}") from None
        if answer.status >= 400:
            raise _refusal(answer.status, answer.data)
        return answer


def _dry(dry_run: bool) -> dict[str, str]:
    return {"dryRun": "All"} if dry_run else {}


def _selectors(labels: str, fields: str) -> dict[str, str]:
    return ({"labelSelector": labels} if labels else {}) | ({"fieldSelector": fields} if fields else {})


def _refusal(status: int, text: bytes) -> ApiError:
    try:
        body = json.loads(text)
        words = str(body["message"])
    except (ValueError, TypeError, KeyError):
        body, words = {}, f"HTTP {status}"
    return (Absent if status == 404 else ApiError)(words, status, body)
