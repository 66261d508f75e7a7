"""Guard of the page: who may ask, and what a browser may do with the answers."""

import hmac
import ipaddress

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "surreal-token"
POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data: blob:",
    "media-src": "'self'",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
"""Content policy: scripts of this server alone, no foreign host, no frame around it."""
HEADERS = {
    "Content-Security-Policy": "; ".join(f"{kind} {sources}" for kind, sources in POLICY.items()),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Guard:
    """Admits requests by the name they ask for and, with a token, by that; adds the headers to every answer."""

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        """Take the token of a page that other machines may open; None where only this machine can."""
        self._app, self._token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await (self._refusal(Request(scope)) or self._app)(scope, receive, guarded)

    def _refusal(self, request: Request) -> Response | None:
        """Return the answer to a request that is not admitted, or that brings its token; None for all others."""
        if not _is_own_name(request.headers.get("host", ""), self._token is not None):
            return PlainTextResponse("This page answers to localhost and to addresses, to no other name.", 421)
        if request.method not in ("GET", "HEAD"):
            return PlainTextResponse("This page is only read.", 405)
        if self._token is None or self._same(request.cookies.get(COOKIE)):
            return None
        if not self._same(request.query_params.get("token")):
            return PlainTextResponse("Open the page by the address that `surreal open` printed; it has a token.", 401)
        answer = RedirectResponse("/", 303)
        answer.set_cookie(COOKIE, self._token, httponly=True, samesite="strict")
        return answer

    def _same(self, given: str | None) -> bool:
        return hmac.compare_digest((given or "").encode(), (self._token or "").encode())


def _is_own_name(host: str, open_to_others: bool) -> bool:
    """Return False for a DNS name, as anything may point it here; with a token any name will do."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    if open_to_others or name == "localhost":
        return True
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
