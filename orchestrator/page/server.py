"""Server of the page: static files, and the documents of `Views` as JSON."""

import json
import threading
from collections.abc import Awaitable, Callable
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from surreal.orchestrator.page.guard import Guard
from surreal.orchestrator.page.question import parse
from surreal.orchestrator.page.views import Views
from surreal.protocol.errors import NotFound, SurrealError

Document = Callable[[Views, Request], Any]
PLOTS = {"uplot.js": "uPlot.iife.js", "uplot.css": "uPlot.min.css"}
"""Names in the page of files in the package uplot-python."""

KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}


def application(views: Views, token: str | None = None) -> Starlette:
    """Return the page of `views`. Other machines may open it only where there is a `token`."""
    documents: dict[str, Document] = {
        "/api/runs": lambda views, _: views.runs(),
        "/api/runs/{name}": lambda views, request: views.run(request.path_params["name"]),
        "/api/runs/{name}/plan": lambda views, request: views.plan(request.path_params["name"]),
        "/api/curves": lambda views, request: views.curves(parse(request.query_params.get("ask", "{}"))),
        "/api/runs/{name}/logs": _logs,
        "/api/runs/{name}/videos": lambda views, request: views.videos(request.path_params["name"]),
    }
    routes = [Route(path, _answer(views, document)) for path, document in documents.items()]
    routes.append(Route("/api/runs/{name}/videos/{file}", _video(views)))
    routes += [Route(path, _file(file)) for path, file in static_files().items()]
    return Starlette(routes=routes, middleware=[Middleware(Guard, token=token)])


def static_files() -> dict[str, Path]:
    """Return path -> file of what a browser loads, which no run changes."""
    own = Path(str(files("surreal.orchestrator.page") / "static"))
    named = {f"/{file.name}": file for file in own.iterdir()}
    return {"/": own / "index.html", **named, **{f"/vendor/{name}": plots() / file for name, file in PLOTS.items()}}


def plots() -> Path:
    """Return the folder of uPlot in the package uplot-python, without importing it: that would bring IPython.

    Raises NotFound where another package has its name.
    """
    spec = find_spec("uplot")
    folders = [Path(each) / "static" for each in (spec.submodule_search_locations or ())] if spec else []
    for folder in folders:
        if all((folder / file).is_file() for file in PLOTS.values()):
            return folder
    raise NotFound("open: uPlot's files are not installed. Install them: pip install uplot-python")


def serve(views: Views, host: str, port: int, token: str | None, ready: Callable[[int], None]) -> None:
    """Serve the page until Ctrl-C; call `ready` with the port. Raises OSError if the port is taken."""
    config = uvicorn.Config(application(views, token), host, port, log_level="warning", access_log=False)
    socket = _bound(host, port)
    # a browser needs longer to start
    threading.Thread(target=views.warm, daemon=True).start()
    ready(socket.getsockname()[1])
    try:
        uvicorn.Server(config).run(sockets=[socket])
    finally:
        socket.close()
        views.close()


def _bound(host: str, port: int) -> Any:
    import socket

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound


def _answer(views: Views, document: Document) -> Callable[[Request], Response]:
    """Return the endpoint of a document. Starlette calls it in a thread, as it may ask a cluster."""

    def endpoint(request: Request) -> Response:
        try:
            return _json(document(views, request))
        except NotFound as error:
            return _json({"error": str(error)}, 404)
        except ValueError as error:
            return _json({"error": str(error)}, 400)
        except (SurrealError, OSError) as error:
            # The place is away for a while; the page keeps what it shows and says this.
            return _json({"error": str(error)}, 503)

    return endpoint


def _file(path: Path) -> Callable[[Request], Awaitable[Response]]:
    """Return the endpoint of a file, which is held in memory: a browser asks for a dozen of them at once."""
    kind, content = KINDS[path.suffix], path.read_bytes()

    async def endpoint(_: Request) -> Response:
        return Response(content, headers={"Cache-Control": "no-cache"}, media_type=kind)

    return endpoint


def _json(data: Any, status: int = 200) -> Response:
    text = json.dumps(data, allow_nan=False, separators=(",", ":"), default=str)
    return Response(text, status, {"Cache-Control": "no-store"}, "application/json")


def _logs(views: Views, request: Request) -> Any:
    return views.logs(request.path_params["name"], request.query_params.get("source"))


def _video(views: Views) -> Callable[[Request], Response]:
    def endpoint(request: Request) -> Response:
        path = views.video(request.path_params["name"], request.path_params["file"])
        return FileResponse(path, media_type="video/mp4") if path else PlainTextResponse("no such film", 404)

    return endpoint
