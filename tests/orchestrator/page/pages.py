"""Pages of real servers on ports of this machine, over statuses that a test changes."""

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn

from surreal.orchestrator.page.server import application
from surreal.orchestrator.page.views import Views
from surreal.orchestrator.run.log_files import LogLine
from surreal.orchestrator.run.status import Status


@dataclass
class FolderRun:
    """A run as the page sees it: a folder of metrics and lines of a log."""

    folder: Path
    lines: list[str] = field(default_factory=list)

    @property
    def backend(self) -> "FolderRun":
        return self

    def metrics_folder(self) -> Any:
        @contextmanager
        def opened() -> Iterator[Path]:
            yield self.folder

        return opened()

    def logs(self, source: str | None, tail: int) -> Iterator[LogLine]:
        return iter([LogLine(source or "actor/0", line) for line in self.lines][-tail:])

    def fetch(self, name: str, below: str, target: Path) -> None:
        raise OSError("no plan")


@dataclass
class Page:
    """A page that is served, and how to ask it."""

    url: str
    statuses: list[Status]
    runs: dict[str, FolderRun]

    def ask(self, path: str, **headers: str) -> tuple[int, Mapping[str, str], bytes]:
        """Return the code, the headers and the body of an answer; redirections are not followed."""
        opener = urllib.request.build_opener(_Stays())
        request = urllib.request.Request(
            self.url + path, headers={key.replace("_", "-"): value for key, value in headers.items()}
        )
        try:
            with opener.open(request, timeout=120) as answer:
                return answer.status, dict(answer.headers), answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, dict(error.headers), error.read()

    def data(self, path: str) -> Any:
        """Return the data of an answer."""
        return json.loads(self.ask(path)[2])


class _Stays(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


@contextmanager
def page(folder: Path, names: tuple[str, ...] = ("one",), token: str | None = None) -> Iterator[Page]:
    """Serve a page of runs of these names, each with a folder of its own below `folder`."""
    runs = {name: FolderRun(folder / f"run-{index}") for index, name in enumerate(names)}
    for run in runs.values():
        run.folder.mkdir()
    statuses = [Status(name, "local", str(runs[name].folder), "running") for name in names]
    views = Views(lambda: list(statuses), runs.__getitem__)  # type: ignore[arg-type]
    server = uvicorn.Server(uvicorn.Config(application(views, token), "127.0.0.1", 0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_for(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Page(f"http://127.0.0.1:{port}", statuses, runs)
    finally:
        server.should_exit = True
        thread.join(120)
        views.close()


def wait_for(condition: Callable[[], object], seconds: float = 120.0) -> None:
    """Wait until `condition()` holds; fail if it does not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
