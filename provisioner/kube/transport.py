"""One request to an API server and its answer; whatever goes wrong is an ApiError with a sentence.

urllib3 through the kubernetes client's own pool, since the client's methods change from release to release and turn
JSON into models, which takes ten times as long.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from surreal.provisioner.kube.errors import TOO_MANY, UNAUTHORIZED, ApiError, refusal
from surreal.provisioner.kube.kinds import Object
from surreal.provisioner.kube.kubeconfig import Access
from surreal.provisioner.kube.retries import BusyError

CONNECT, READ = 5.0, 30.0
"""Seconds to connect, and to wait for an answer or the next part of it."""
OLD_VERSION = re.compile(r"^this version is deprecated|/v\d\w* \w+ is deprecated", re.IGNORECASE)
"""Warnings of a version of an API, which surreal chooses so that older clusters serve it: no person can change it."""
LONGEST_ASKED = 60.0
"""Seconds of a Retry-After that we honour."""


class Transport:
    """Connections to one API server with one person's credentials. May be used by several threads."""

    def __init__(self, find: Callable[[], Access], warn: Callable[[str], None]) -> None:
        self._find, self._warn = find, warn
        self._warned: set[str] = set()
        self._answered = False
        self.access = find()

    def document(
        self, method: str, path: str, query: Mapping[str, str], body: Object | None, form: str, accept: str = ""
    ) -> Object:
        """Return the JSON that the server answers. Raises ApiError, BusyError if the same request may succeed later."""
        from urllib3.exceptions import HTTPError

        answer = self.open(method, path, query, body, form, accept=accept)
        try:
            found = json.loads(answer.data)
        except ValueError:
            raise ApiError(f"the server at {self.host} is no API server: it sends no JSON") from None
        except (HTTPError, OSError) as error:
            raise self._silence(error) from None
        if not isinstance(found, dict):
            raise ApiError(f"the server at {self.host} is no API server: it sends no object")
        return found

    def open(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Object | None = None,
        form: str = "",
        read: float = READ,
        accept: str = "",
    ) -> Any:
        """Return a urllib3 response of which only the head was read. Each part may take at most `read` seconds.

        Credentials that are not accepted are read again once. Raises as `document`.
        """
        url = path + (f"?{urlencode(query)}" if query else "")
        answer = self._send(method, url, body, form, read, accept)
        if answer.status == UNAUTHORIZED:
            answer.close()
            # the token was renewed in the file, or the exec plugin makes a new one
            self.access = self._find()
            answer = self._send(method, url, body, form, read, accept)
        if answer.status >= 400:
            raise self._refused(answer, method, path)
        for warning in answer.headers.getlist("Warning"):
            self._say_once(warning)
        return answer

    @property
    def host(self) -> str:
        """`https://HOST:PORT`"""
        return str(self.access.client.configuration.host)

    def _send(self, method: str, url: str, body: Object | None, form: str, read: float, accept: str) -> Any:
        from urllib3 import HTTPHeaderDict, Timeout
        from urllib3.exceptions import HTTPError

        headers = HTTPHeaderDict(self.access.headers())
        headers["Accept"] = accept or "application/json"
        if body is not None:
            headers["Content-Type"] = form or "application/json"
        try:
            answer = self.access.client.rest_client.pool_manager.request(
                method,
                self.host + url,
                body=None if body is None else json.dumps(body).encode(),
                headers=headers,
                timeout=Timeout(connect=CONNECT, read=read),
                retries=False,
                preload_content=False,
            )
        except (HTTPError, OSError) as error:
            raise self._silence(error) from None
        self._answered = True
        return answer

    def _refused(self, answer: Any, method: str, path: str) -> ApiError:
        text = answer.data
        try:
            body = json.loads(text)
        except ValueError:
            body = text.decode(errors="replace")
        verb = {"GET": "read", "POST": "create", "PATCH": "apply", "DELETE": "delete"}[method]
        access = self.access
        error = refusal(answer.status, body, f"{verb} {_short(path)}", access.namespace, access.context)
        if answer.status != TOO_MANY and answer.status < 500:
            return error
        busy = BusyError(
            f"the API server gave {answer.status} ({error.body.get('message') or answer.reason})", answer.status
        )
        busy.wait = _seconds(answer.headers.get("Retry-After"))
        return busy

    def _silence(self, error: Exception) -> ApiError:
        """Return the error for a request without an answer. A server that never answered is not tried again."""
        from urllib3 import exceptions

        if isinstance(error, exceptions.SSLError):
            return ApiError(f"no safe connection to {self.host} (context {self.access.context}): {error}")
        if isinstance(error, exceptions.ConnectTimeoutError) and not isinstance(error, exceptions.NewConnectionError):
            why = f"no connection in {CONNECT:g} s"
        elif isinstance(error, exceptions.ReadTimeoutError):
            why = f"no answer in {READ:g} s"
        else:
            root = error.__cause__ or error.__context__ or error
            why = getattr(root, "strerror", None) or str(root)
        if self._answered:
            return BusyError(f"the API server at {self.host} is silent: {why}")
        return ApiError(
            f"no API server answers at {self.host} (context {self.access.context}): {why}; is the cluster up, and is "
            "this the right context? see `kubectl config get-contexts`"
        )

    def _say_once(self, header: str) -> None:
        """Pass on a new warning of the server, such as a violation of Pod Security: `299 - "text"`."""
        text = header.partition('"')[2].rpartition('"')[0].replace('\\"', '"')
        if text and text not in self._warned and not OLD_VERSION.search(text):
            self._warned.add(text)
            self._warn(f"warning: {text}")


def _short(path: str) -> str:
    """Shorten `/api/v1/namespaces/n/pods/x` to `pods/x`."""
    parts = path.strip("/").split("/")
    if "namespaces" in parts and len(parts) > (at := parts.index("namespaces")) + 2:
        return "/".join(parts[at + 2 :])
    return "/".join(parts[2 if parts[0] == "api" else 3 :]) or path


def _seconds(header: str | None) -> float:
    return min(LONGEST_ASKED, float(header)) if header and header.isdigit() else 0.0
