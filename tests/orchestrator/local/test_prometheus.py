"""Prometheus reads real runs: two that want one port, and one that is restarted."""

import os
import signal
import urllib.error
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from surreal.orchestrator.backends.local.backend import LocalBackend
from surreal.orchestrator.plan.model import Plan
from tests.orchestrator.runs import create, plan, process, until
from tests.ports import free_port


@pytest.fixture
def port() -> int:
    """One that is this test's alone."""
    return free_port()


def planned(name: str, port: int) -> Plan:
    """A run whose actors send and whose learner shows what arrives."""
    return plan(name, learner="eater", actor="feeder", evaluator="actor").model_copy(update={"prometheus_port": port})


def scrape(port: int) -> dict[tuple[str, ...], float]:
    """(name, sorted values of labels) -> value; nothing while nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=120) as answer:
            text = answer.read().decode()
    except (urllib.error.URLError, ConnectionError):
        return {}
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {(sample.name, *sorted(sample.labels.values())): sample.value for sample in samples}


def test_prometheus_sees_what_every_process_sends_and_who_was_restarted(place: LocalBackend, port: int) -> None:
    name = create(place, planned("toy", port))
    sent = ("surreal_channel_messages_total", "actor/0", "experience", "send", "stream", name)
    received = ("surreal_channel_messages_total", "experience", "learner/0", "receive", "stream", name)
    until(lambda: scrape(port).get(sent) and scrape(port).get(received), "both ends are counted")
    until(lambda: scrape(port).get(("surreal_processes_alive", "actor", name)) == 2, "both actors have joined")
    first = process(place, name, "actor").pid
    assert first
    os.kill(first, signal.SIGKILL)
    until(lambda: scrape(port).get(("surreal_process_starts_total", "actor/0", name)) == 2, "its restart is counted")


def test_of_two_runs_that_want_one_port_the_second_goes_on_without(place: LocalBackend, port: int) -> None:
    first, second = (create(place, planned(name, port)) for name in ("one", "two"))
    names = {"one", "two"}
    until(lambda: all(place.status(name).roles["learner"][0].pid for name in names), "both run")

    def said(name: str, words: str) -> int:
        return sum(words in line.text for line in place.logs(name, "learner"))

    until(lambda: all(said(name, "Prometheus") for name in names), "both have tried")
    assert sorted(said(name, "cannot serve Prometheus at") for name in names) == [0, 1]
    until(lambda: all(place.status(name).channels for name in (first, second)), "both count their channels")
    assert all(place.status(name).state == "running" for name in names)
