"""A run on Ray, as its supervisor conducts it: hosts asked for, workers started where they landed, deaths answered.

Answers of hosts arrive in a queue; between them the loop sleeps. A node that is gone costs its own processes only:
they go to other nodes, uncounted. Where a process that listens has moved, those that dial it are told by a restart.
"""

import queue
import signal
import time
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any

from surreal.orchestrator.backends.ray.actors.hosts import Hosts, Materials
from surreal.orchestrator.backends.ray.actors.mirror import Mirror
from surreal.orchestrator.backends.ray.actors.network import Network, Place, listening
from surreal.orchestrator.backends.ray.actors.nodes import Nodes
from surreal.orchestrator.backends.ray.actors.process import RemoteProcess
from surreal.orchestrator.backends.ray.connection.cluster import first_line
from surreal.orchestrator.backends.ray.placement import starts_together
from surreal.orchestrator.backends.restart_policy import Outcome, outcome_of
from surreal.orchestrator.plan.model import Plan
from surreal.orchestrator.run.describe import UNKNOWN, one_line
from surreal.orchestrator.run.home import Folder
from surreal.orchestrator.supervision import exits
from surreal.orchestrator.supervision.judgement import NO_DEADLINE, Judgement
from surreal.orchestrator.supervision.process import EVALUATOR_DELAY_S
from surreal.orchestrator.supervision.record import ProcessRecord, RunRecord
from surreal.protocol.errors import ExitCode
from surreal.protocol.wiring import LOCAL_STOP_GRACE_S
from surreal.protocol.worker.termination import TerminationMessage

LOOK_SECONDS = 1.0
"""Seconds between two looks at the nodes and at what waits."""
WAIT_SECONDS = 5.0
"""Seconds without a place after which a process is said to wait."""
MANY = 8
"""Processes of a role beyond which none of them starts while hosts land."""
STORE_SECONDS = 10.0
"""Further seconds of a stop where results go to a store."""
BEGIN_SECONDS = 15.0
"""Seconds for which evaluators wait for the first step of the others, and large roles for the next host that lands."""
WORKS_AGAIN_S = 10.0
"""Seconds after which a process that was started again is no longer said to have failed."""
KILLED = -int(signal.SIGKILL)


class RayRun(Judgement[RemoteProcess]):
    """One attempt of a run."""

    elsewhere = True

    def __init__(self, ray: Any, myself: Any, folder: Folder, plan: Plan, materials: Materials) -> None:
        """Prepare everything and ask Ray for nothing yet."""
        run = RunRecord.next_attempt(folder, plan, node=UNKNOWN)
        processes = [RemoteProcess(plan.role(record.role), record) for record in run.processes]
        super().__init__(folder, plan, processes, run)
        self.ray = ray
        self.nodes = Nodes(ray)
        self.network = Network(plan, local=self.nodes.one_machine)
        self.hosts = Hosts(ray, myself, plan, materials, self.nodes)
        self.events: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.mirror: Mirror | None = None
        """Copy of the folder of a learner whose node does not see ours."""
        self.stop_asked = self.abort_asked = False
        self.next_look = 0.0
        self.began = self.stepped = self.landed = time.monotonic()
        """Times of the begin, of the last `step`, and of the last host that landed."""
        self.first_step = self.steps()
        self.save()

    def wait(self) -> None:
        """Sleep until an answer comes or something is due, and handle all answers that are there."""
        moments = [
            self.next_look,
            # what was due and did not start then waits for an answer
            *(at for at in (each.start_at for each in self.processes) if at is not None and at > self.stepped),
        ]
        if self.ending:
            moments += [self.ending.terminate_at, self.ending.kill_at]
        timeout = max(0.01, min(min(moments) - time.monotonic(), LOOK_SECONDS))
        try:
            handle = self.events.get(timeout=timeout)
            while True:
                handle()
                handle = self.events.get_nowait()
        except queue.Empty:
            return

    def wake(self) -> None:
        """Have the loop look at once. Any thread may call it."""
        self.events.put(lambda: None)

    def step(self) -> None:
        """Handle every deadline that is due now."""
        if self.abort_asked:
            self.end("stopped", "ended at once")
        elif self.stop_asked and not self.ending:
            self.report("asked to stop: every process saves what it has and ends")
            self.end("stopped", "", kill_in=LOCAL_STOP_GRACE_S + (STORE_SECONDS if self.plan.storage.url else 0.0))
        now = self.stepped = time.monotonic()
        if now >= self.next_look:
            self.next_look = now + LOOK_SECONDS
            self.look()
        if self.ending:
            self.push_ending(self.ending)
        else:
            self.start([process for process in self.processes if (process.start_at or NO_DEADLINE) <= now])

    def start(self, due: Sequence[RemoteProcess]) -> None:
        """Ask for hosts, and start the workers of those that have landed once all addresses are known."""
        for process in due:
            if process.host is None and not self.postponed(process):
                self.ask(process)
        held = MANY if self.are_landing() else len(self.processes)
        ready = [each for each in due if each.place and each.role.replicas <= held] if self.network.complete else []
        if any(process.role.ends_run for process in ready):
            # those that were told of an end that did not come are needed again
            for process in self.processes:
                process.start_again_if_done()
        for process in ready:
            process.before_start()
        if ready:
            self.save()
        for process in ready:
            self.launch(process)
        if ready:
            self.report(f"started {', '.join(f'{each.name} (on {each.record.node})' for each in ready)}")

    def postponed(self, process: RemoteProcess) -> bool:
        """Put off the start of an evaluator until the run makes steps: the others get the cores until then."""
        now = time.monotonic()
        if not process.role.evaluates or self.steps() > self.first_step or now - self.began > BEGIN_SECONDS:
            return False
        process.start_at = now + EVALUATOR_DELAY_S
        return True

    def are_landing(self) -> bool:
        """Return True while hosts land one after another: hundreds of workers would take the cores from the rest."""
        waiting = any(each.host is not None and not each.place for each in self.processes)
        return waiting and time.monotonic() - self.landed < BEGIN_SECONDS

    def ask(self, process: RemoteProcess) -> None:
        """Have Ray place a host for a process."""
        listens = listening(self.plan, process.role.name)
        materials = self.hosts.materials
        land = (listens, str(self.folder.path), materials.token, materials.code)
        process.ask(self.hosts.make(process), land, partial(self._answer, self.on_landed))

    def launch(self, process: RemoteProcess) -> None:
        """Have the host of a process start its worker."""
        if self.mirror and process.role.ends_run and process.record.index == 0:
            self.mirror.start()
        order = self.hosts.order(process, self.network, str(self.folder.path))
        process.start(order, self.network.heard_by(process.role), partial(self._answer, self.on_ended))

    def _answer(self, handler: Any, process: RemoteProcess, host: Any, future: "Future[Any]") -> None:
        """Queue the answer of a host, in a thread of Ray's."""
        self.events.put(partial(handler, process, host, future))

    def on_landed(self, process: RemoteProcess, host: Any, future: "Future[Any]") -> None:
        """Note where a host has landed; tell those that dial it where it had been somewhere else."""
        if process.host is not host:
            return
        if error := future.exception():
            self.on_lost(process, error)
            return
        self.landed = time.monotonic()
        place = Place(**future.result())
        process.place, process.record.node = place, f"{place.ip} ({place.node[:6]})"
        process.record.reason, process.record.since = "", None
        if process.role.ends_run and process.record.index == 0:
            self.renew_mirror(host, place)
        was_local = self.network.local
        self.network.land(process.record.role, process.record.index, place)
        if (place.ports or was_local != self.network.local) and self.network.complete:
            self.rewire(process)

    def renew_mirror(self, host: Any, place: Place) -> None:
        """Copy the folder of the learner where its node does not see ours."""
        if self.mirror:
            self.mirror.abandon()
        ask = partial(self.hosts.ask, host)
        self.mirror = None if place.shared else Mirror(ask, self.folder.path, checkpoints=not self.plan.storage.url)

    def rewire(self, landed: RemoteProcess) -> None:
        """Restart those that dial a process which listens somewhere else than before."""
        told = [
            each
            for each in self.processes
            if each is not landed and each.is_running and each.heard != self.network.heard_by(each.role)
        ]
        for each in told:
            each.told = True
            each.send(signal.SIGTERM)
        if told:
            place, number = landed.record.node, len(told)
            self.report(f"{landed.name} is on {place} now: processes that dial it restart, uncounted: {number}")

    def on_ended(self, process: RemoteProcess, host: Any, future: "Future[Any]") -> None:
        """Judge the exit of a worker, or the loss of its host."""
        if process.host is not host:
            return
        if error := future.exception():
            self.on_lost(process, error)
            return
        process.on_end(future.result())
        # one that was only starting had no word yet for the signal that it was sent
        told = process.told and process.ended["code"] == -signal.SIGTERM
        self.on_exit(process, int(ExitCode.PREEMPTED) if told else process.ended["code"])

    def on_lost(self, process: RemoteProcess, error: BaseException) -> None:
        """Answer the loss of a host: with its node it is uncounted, else it counts as a crash."""
        place, ran = process.place, process.is_running
        with suppress(Exception):  # one that lives on behind a cut line must not hold its resources
            self.ray.kill(process.host)
        process.lose_host()
        self.network.places.pop((process.record.role, process.record.index), None)
        process.on_end({"code": KILLED, "output": process.last_output})
        if place and self.nodes.is_gone(place.node):
            if self.ending:
                process.record.state = "stopped"
                return
            gone = f"its node {place.ip} ({place.node[:6]}) is gone; it goes to another one"
            self.report(f"{process.name}: {gone}; {self.loss_of(process)}")
            process.record.state, process.start_at = "restarting", time.monotonic()
        elif ran or self.ending:
            process.ended["cause"] = one_line(f"its Ray actor ended: {first_line(error)}", exits.MAX_CAUSE)
            self.on_exit(process, KILLED)
        else:
            process.record.reason = one_line(f"finds no place: {first_line(error)}", exits.MAX_CAUSE)
            self.report(f"{process.name} {process.record.reason}")
            process.start_at = time.monotonic() + WAIT_SECONDS

    def outcome(self, process: Any, code: int) -> Outcome:
        """Return what an exit means, by what the host said of it."""
        ended = process.ended
        if code == ExitCode.PREEMPTED and process.told:
            return Outcome(code, "it was told of new addresses")
        if process.hung:
            return Outcome(code, exits.hang(process))
        outcome = outcome_of(code, TerminationMessage.parse(ended.get("record", "")))
        words = outcome.cause or ended.get("cause", "") or exits.last_words(code, process.last_output)
        return Outcome(outcome.code, "" if outcome.code == ExitCode.DONE else one_line(words, exits.MAX_CAUSE))

    def look(self) -> None:
        """Look at the nodes, and say of each process that waits what it waits for."""
        self.nodes.look()
        now = time.monotonic()
        for process in self.processes:
            record = process.record
            if process.host is not None and not process.place and now - process.asked_at > WAIT_SECONDS:
                record.since = record.since or round(time.time() - WAIT_SECONDS)
                gang = process.role.replicas if starts_together(self.plan, process.role) else 1
                record.reason = self.nodes.why_waiting(process.role, gang)
            elif process.is_running and record.since is None and process.lived > WORKS_AGAIN_S:
                record.reason = ""

    def note(self, name: str, incarnation: int, stuck: str, still: float) -> None:
        """Keep where a worker is stuck and since when; empty for one that moves."""
        record = self._record(name, incarnation)
        if record and stuck and record.since is None:
            record.reason, record.since = stuck, round(time.time() - still)
        elif record and not stuck and record.since is not None:
            record.reason, record.since = "", None

    def note_pid(self, name: str, incarnation: int, pid: int) -> None:
        """Keep the process id of a worker on its node."""
        if record := self._record(name, incarnation):
            record.pid = pid
            self.wake()

    def _record(self, name: str, incarnation: int) -> ProcessRecord | None:
        """Return the record of a start that is the newest of its process and still runs."""
        running = (each.record for each in self.processes if each.is_running)
        return next((each for each in running if (each.name, each.incarnation) == (name, incarnation)), None)

    def finish(self) -> None:
        """Leave no actor and no group, and the outcome on disk."""
        if self.mirror:
            self.mirror.close()
        self.hosts.close([process.host for process in self.processes if process.host is not None])
        for process in self.processes:
            if process.is_running or process.record.state in ("pending", "restarting"):
                process.record.state = "stopped"
            process.lose_host()
        self.close()
