"""The operator as a whole: watches, two replicas of which one acts, an API that is away, health and metrics."""

import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from surreal.orchestrator.operator import main
from surreal.orchestrator.operator.loop import watching
from surreal.orchestrator.operator.loop.election import DEADLINE_S, DURATION_S, Election
from surreal.orchestrator.operator.loop.work_queue import WorkQueue
from surreal.orchestrator.operator.main import Operator, Settings
from surreal.protocol.errors import InvalidInput
from surreal.provisioner.kube.kinds import Object
from tests.orchestrator.kube.apiserver import NAMESPACE
from tests.orchestrator.operator.cluster import NAME, Cluster, cluster


@contextmanager
def operating(place: Cluster, identity: str = "one", elect: bool = False) -> Iterator[Operator]:
    operator = Operator(place.server.api(), Settings(identity, port=0, elect=elect), place.server.said.append)
    operator.start()
    try:
        yield operator
    finally:
        operator.end()


def wait_for_state(place: Cluster, state: str, name: str = NAME) -> None:
    def reached() -> bool:
        # by a request it would wait for the lock that is held here
        found = place.store.objects.get(("Experiment", NAMESPACE, name), {})
        return dict(found.get("status") or {}).get("state") == state

    with place.store.changed:
        assert place.store.changed.wait_for(reached, 120), place.server.said


def asked(operator: Operator, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{operator.port}{path}", timeout=120) as answer:
        return str(answer.read().decode())


def test_what_is_applied_begins_and_what_is_deleted_goes(tmp_path: Path) -> None:
    with cluster(tmp_path, runs_jobs=True) as place, operating(place) as operator:
        place.apply()
        wait_for_state(place, "running")
        place.patch(suspend=True)
        wait_for_state(place, "stopped")
        assert asked(operator, "/healthz") == "ok\n"
        assert asked(operator, "/readyz") == "ok\n"
        metrics = asked(operator, "/metrics")
        assert 'surreal_operator_reconciliations_total{kind="Experiment",result="ok"}' in metrics
        assert "surreal_operator_leader 1.0" in metrics
        place.person.delete("Experiment", NAME)
        with place.store.changed:
            assert place.store.changed.wait_for(lambda: place.left() == [], 120)


def test_one_that_starts_later_finds_what_was_applied_before(tmp_path: Path) -> None:
    with cluster(tmp_path, runs_jobs=True) as place:
        place.apply()
        with operating(place):
            wait_for_state(place, "running")


def test_an_api_server_that_is_away_is_waited_for(tmp_path: Path) -> None:
    with cluster(tmp_path, runs_jobs=True) as place, operating(place):
        place.server.fault(503, verb="PATCH", kind="Service", times=3)
        place.server.fault("lost", verb="PATCH", kind="Job", nth=2)
        place.server.fault(503, verb="GET", kind="ConfigMap", times=4)
        place.apply()
        wait_for_state(place, "running")
        assert any("retrying" in line for line in place.server.said)


def wait_until_said(place: Cluster, words: str) -> None:
    """Wait for a line of an operator's log."""
    end = time.monotonic() + 120
    while not any(words in line for line in list(place.server.said)):
        assert time.monotonic() < end, place.server.said
        time.sleep(0.01)


def test_what_changes_while_the_api_server_is_away_is_taken_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(main, "AGAIN_S", 0.05)
    monkeypatch.setattr(watching, "AGAIN_S", 0.05)
    with cluster(tmp_path, runs_jobs=True) as place, operating(place) as operator:
        place.apply()
        wait_for_state(place, "running")
        with place.server.away():
            for kind in main.WATCHED:
                wait_until_said(place, f"watch of {kind}: ")
            assert asked(operator, "/healthz") == "ok\n"
            place.store.patch("Experiment", NAMESPACE, NAME, {"spec": {"suspend": True}}, "person", False)
        wait_for_state(place, "stopped")


def test_one_that_starts_while_the_api_server_is_away_begins_when_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "AGAIN_S", 0.05)
    with cluster(tmp_path, runs_jobs=True) as place:
        place.apply()
        with place.server.away():
            operator = Operator(place.server.api(), Settings("one", port=0, elect=False), place.server.said.append)
            operator.start()
            wait_until_said(place, "watch of Experiment: no API server answers")
        try:
            wait_for_state(place, "running")
        finally:
            operator.end()


def test_an_operator_that_ends_takes_the_jobs_along_only_if_its_namespace_goes(tmp_path: Path) -> None:
    with cluster(tmp_path) as place:
        with operating(place):
            place.apply()
            wait_for_state(place, "pending")
        place.check_whole()
        with operating(place):
            place.person.patch("Namespace", NAMESPACE, {"status": {"phase": "Terminating"}})
        assert place.store.names("Job") == []


def test_of_two_operators_one_acts_and_the_other_takes_over(tmp_path: Path) -> None:
    with cluster(tmp_path) as place:
        now = 0.0
        first, second = (
            Election(place.server.api(), "lease", who, place.server.said.append, lambda: now)
            for who in ("first", "second")
        )
        first.step()
        second.step()
        assert (first.leads, second.leads) == (True, False)
        now = DURATION_S - 1
        first.step()
        second.step()
        assert (first.leads, second.leads) == (True, False)
        # the first dies; by its own clock it would step down before the second takes over
        now += DURATION_S
        assert not first.leads
        second.step()
        now += DURATION_S
        second.step()
        assert second.leads
        first.step()
        assert not first.leads
        assert place.store.get("Lease", NAMESPACE, "lease")["spec"]["holderIdentity"] == "second"


def test_a_leader_whose_server_is_away_steps_down_and_leads_again(tmp_path: Path) -> None:
    with cluster(tmp_path) as place:
        now = 0.0
        election = Election(place.server.api(), "lease", "one", place.server.said.append, lambda: now)
        election.step()
        with place.server.away():
            now = DEADLINE_S - 1
            election.step()
            assert election.leads
            now = DEADLINE_S + 1
            election.step()
            assert not election.leads
        election.step()
        assert election.leads
        assert place.server.said[-2:] == ["one does not act: its lease ran out", "one acts"]


def test_a_right_that_is_missing_for_the_lease_is_told(tmp_path: Path) -> None:
    with cluster(tmp_path) as place:
        place.store.rules.allowed = {("get", "leases")}
        election = Election(place.server.api(), "lease", "one", place.server.said.append, lambda: 0.0)
        election.step()
        assert not election.leads
        (said,) = place.server.said
        assert said.startswith("lease lease: ") and "create" in said and "leases" in said


def test_a_lease_counts_from_its_write_however_long_the_read_took(tmp_path: Path) -> None:
    with cluster(tmp_path) as place:
        now, api = 0.0, place.server.api()
        find = api.find

        def slow(*arguments: Any) -> Object | None:
            nonlocal now
            now += 2 * DEADLINE_S
            return find(*arguments)

        api.find = slow  # type: ignore[method-assign,assignment]
        election = Election(api, "lease", "one", place.server.said.append, lambda: now)
        for _ in range(2):
            election.step()
            assert election.leads


def test_a_leader_that_ends_leaves_the_lease_at_once(tmp_path: Path) -> None:
    with cluster(tmp_path) as place:
        now = 0.0
        first, second = (
            Election(place.server.api(), "lease", who, place.server.said.append, lambda: now)
            for who in ("first", "second")
        )
        first.step()
        first.end()
        second.step()
        assert (first.leads, second.leads) == (False, True)


def test_a_lease_that_changed_meanwhile_is_not_taken(tmp_path: Path) -> None:
    with cluster(tmp_path) as place:
        election = Election(place.server.api(), "lease", "one", place.server.said.append, lambda: 0.0)
        election.step()
        held = place.person.get("Lease", "lease")
        place.person.patch("Lease", "lease", {"spec": {"holderIdentity": "other"}})
        assert not election._write(held, {"holderIdentity": "one"})


def test_an_operator_with_a_dead_thread_is_not_healthy(tmp_path: Path) -> None:
    with cluster(tmp_path) as place, operating(place) as operator:
        assert asked(operator, "/healthz") == "ok\n"
        dead = threading.Thread(target=lambda: None)
        dead.start()
        dead.join()
        operator._threads.append(dead)
        with pytest.raises(urllib.error.HTTPError, match="503"):
            asked(operator, "/healthz")


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with cluster(tmp_path) as place, operating(place) as operator:
        other = Operator(place.server.api(), Settings("two", operator.port, elect=False))
        with pytest.raises(InvalidInput, match=f"--port: {operator.port} cannot be had: Address already in use"):
            other.start()


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 here")
def test_health_is_told_by_ipv6_too(tmp_path: Path) -> None:
    with cluster(tmp_path) as place, operating(place) as operator:
        answer = urllib.request.urlopen(f"http://[::1]:{operator.port}/healthz", timeout=120)
        assert answer.read() == b"ok\n"
        answer.close()


def test_looks_that_take_long_hold_no_apply_up(tmp_path: Path) -> None:
    inside, released = threading.Semaphore(0), threading.Event()
    with cluster(tmp_path) as place:
        slow = [f"slow-{number}" for number in range(main.THREADS + 1)]
        for name in slow:
            place.apply(name)
        operator = Operator(place.server.api(), Settings("one", port=0, elect=False), place.server.said.append)
        look = operator.reconciler.reconcile

        def held(name: str) -> float | None:
            if name in slow:
                inside.release()
                assert released.wait(120)
            return look(name)

        operator.reconciler.reconcile = held  # type: ignore[method-assign]
        operator.start()
        try:
            for _ in range(main.THREADS):
                assert inside.acquire(timeout=120)
            place.apply()
            wait_for_state(place, "pending")
        finally:
            released.set()
            operator.end()


def test_a_thread_for_what_a_person_waits_for_takes_nothing_else() -> None:
    queue, taken = WorkQueue(), []
    thread = threading.Thread(target=lambda: taken.append(queue.get(urgent=True)))
    thread.start()
    queue.add(("Experiment", "look"))
    queue.add(("Experiment", "apply"), urgent=True)
    thread.join()
    assert (taken, queue.get()) == ([("Experiment", "apply")], ("Experiment", "look"))


def test_times_that_a_key_has_no_more_are_forgotten() -> None:
    queue = WorkQueue()
    for number in range(1000):
        queue.add(("Experiment", "a"), delay=3600.0 - number)
    assert len(queue._heap) < 10
    queue.add(("Experiment", "a"))
    assert queue.get() == ("Experiment", "a")


def test_a_key_is_worked_on_by_one_thread_at_a_time_and_comes_again() -> None:
    queue = WorkQueue()
    key = ("Experiment", "a")
    queue.add(key)
    queue.add(key)
    assert queue.get() == key
    assert len(queue) == 0
    queue.add(key)
    queue.add(("Experiment", "later"), delay=3600)
    queue.add(("Experiment", "urgent"), urgent=True)
    assert queue.get() == ("Experiment", "urgent")
    queue.done(key)
    assert queue.get() == key
    ended = threading.Thread(target=queue.close)
    ended.start()
    assert queue.get() is None
    ended.join()
