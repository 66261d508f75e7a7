"""One process of a run on Ray: its host, where that landed, and the calls that wait for an answer."""

import signal
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from surreal.orchestrator.backends.ray.actors.network import Place
from surreal.orchestrator.plan.model import PlannedRole
from surreal.orchestrator.supervision.process import SupervisedProcess
from surreal.orchestrator.supervision.record import ProcessRecord

Answer = Callable[["RemoteProcess", Any, "Future[Any]"], None]
"""Gets the process, the host that was asked, and what came back. Called in a thread of Ray's."""


class RemoteProcess(SupervisedProcess):
    """One (role, index) over all its hosts and attempts. Times are on the monotonic clock."""

    def __init__(self, role: PlannedRole, record: ProcessRecord) -> None:
        super().__init__(role, record)
        self.host: Any = None
        """Handle of the actor; None while it has none."""
        self.place: Place | None = None
        """None until the host has landed."""
        self.asked_at = 0.0
        """Time when the host was asked for."""
        self.ended: dict[str, Any] = {}
        """Words of the host on the last attempt's end."""
        self.heard: dict[str, Any] = {}
        """The addresses that it was started with."""
        self.told = False
        """True from the signal that has it restart with other addresses, until then."""
        self._running = False

    @property
    def is_running(self) -> bool:
        """True from its start until its exit has been seen."""
        return self._running

    def ask(self, host: Any, land: tuple[Any, ...], answer: Answer) -> None:
        """Take a host, which is to land somewhere."""
        self.host, self.place, self.asked_at = host, None, time.monotonic()
        self._await(host.land.remote(*land), answer)

    def start(self, order: dict[str, Any], heard: dict[str, Any], answer: Answer) -> None:
        """Have the host start the worker."""
        self.hung, self.heard, self.told, self._running = "", heard, False, True
        self.record.state = "running"
        self._await(self.host.run.remote(order), answer)

    def on_end(self, ended: dict[str, Any]) -> None:
        """Take in how the attempt ended."""
        self._running, self.ended, self.record.pid = False, ended, None
        self.hung, self.last_output = ended.get("hung", ""), ended.get("output", b"")

    def lose_host(self) -> None:
        """Forget a host that is gone."""
        self.host = self.place = None
        self._running = False
        self.record.node = ""

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the worker and its children if it runs; one that waits for its restart is called off."""
        self.call_off()
        if self._running:
            self.host.signal.remote(int(number))

    def _await(self, reference: Any, answer: Answer) -> None:
        host = self.host
        reference.future().add_done_callback(lambda future: answer(self, host, future))
