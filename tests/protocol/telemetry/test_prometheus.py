"""/metrics: what Prometheus reads, and who else may not."""

import http.client
import socket
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from surreal.protocol.telemetry import prometheus as exporter
from surreal.protocol.telemetry import reporter as observer
from surreal.protocol.telemetry.prometheus import COUNTERS, MAX_REQUESTS, is_trusted_host
from surreal.protocol.transport.stats import Stats
from tests.protocol.conftest import until
from tests.protocol.joined import Joined
from tests.protocol.telemetry.test_counters import wiring

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def port(tcp_address: str) -> int:
    """One that is this test's alone."""
    return int(tcp_address.rpartition(":")[2])


@pytest.fixture
def learner(folder: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Joined]:
    """The process that serves control, and /metrics."""
    monkeypatch.setattr(observer, "WRITE_INTERVAL_S", 0.05)
    with Joined(replace(wiring(folder), prometheus=f"127.0.0.1:{port}")) as process:
        yield process


def ask(port: int, method: str = "GET", path: str = "/metrics", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def scrape(port: int) -> Samples:
    """All samples of one scrape, parsed as Prometheus parses them: (name, labels) -> value."""
    status, headers, body = ask(port)
    assert status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4")
    families = list(text_string_to_metric_families(body.decode()))
    assert all(family.documentation for family in families), "every metric is explained"
    samples = [sample for family in families for sample in family.samples]
    parsed = {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples}
    assert len(parsed) == len(samples), "no series twice, which Prometheus would refuse"
    return parsed


def of(samples: Samples, name: str, **labels: str) -> float | None:
    """One sample of the run `test`."""
    return samples.get((name, frozenset({"experiment": "test", **labels}.items())))


def test_a_scrape_has_the_counters_of_every_process_who_is_alive_and_the_metrics(
    learner: Joined, folder: Path, port: int
) -> None:
    stream = {"channel": "experience", "kind": "stream"}
    with Joined(wiring(folder, "actor", 1, incarnation=3)) as actor:
        actor.sender("experience").send({"steps": np.zeros(10)})
        assert learner.receiver("experience").recv(120)
        learner.session.gauges.set("learner/0", {"episode return": -1.5e-7, "kl": float("nan")})
        received = {"end": "receive", "process": "learner/0", **stream}
        until(lambda: of(scrape(port), "surreal_channel_messages_total", **received), "the message to be counted")
        sent = {"end": "send", "process": "actor/1", **stream}
        until(lambda: of(scrape(port), "surreal_channel_bytes_total", **sent) == 80, "the actor's own report")
        samples = scrape(port)
    assert of(samples, "surreal_channel_bytes_total", **received) == 80
    assert of(samples, "surreal_channel_depth", **sent) is not None
    assert of(samples, "surreal_processes_planned", role="actor") == 2
    assert of(samples, "surreal_processes_alive", role="actor") == 1
    assert of(samples, "surreal_processes_alive", role="learner") == 1
    assert of(samples, "surreal_process_starts_total", process="actor/1") == 3
    assert of(samples, "surreal_metrics_learner_episode_return", process="learner/0") == -1.5e-7
    assert of(samples, "surreal_metrics_learner_kl", process="learner/0") is None


def test_every_counter_of_a_channel_is_shown() -> None:
    assert {*COUNTERS, "depth"} == {each.name for each in fields(Stats)}


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"])
def test_nothing_can_be_done_but_get(learner: Joined, port: int, method: str) -> None:
    status, headers, _ = ask(port, method)
    assert (status, headers["Allow"]) == (405, "GET")


@pytest.mark.parametrize("path", ["/", "/metrics/", "/metrics/../wiring", "/channels.json"])
def test_there_is_nothing_but_metrics(learner: Joined, port: int, path: str) -> None:
    status, headers, body = ask(port, path=path)
    assert (status, body) == (404, b"there is /metrics\n")
    assert headers["Server"] == "surreal", "no versions are told"


def test_a_page_that_rebinds_its_name_reads_nothing(learner: Joined, port: int) -> None:
    status, _, body = ask(port, Host=f"evil.example:{port}")
    assert status == 421 and b"surreal_" not in body


@pytest.mark.parametrize("hosts", [b"", b"Host: localhost\r\nHost: evil.example\r\n"], ids=["none", "two"])
def test_a_request_says_exactly_one_host(learner: Joined, port: int, hosts: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), 20) as connection:
        connection.sendall(b"GET /metrics HTTP/1.1\r\n" + hosts + b"\r\n")
        assert connection.makefile("rb").readline().split()[1] == b"421"


@pytest.mark.parametrize(
    ("host", "trusted"),
    [
        ("127.0.0.1:9400", True),
        ("localhost", True),
        ("LOCALHOST:1", True),
        ("10.0.3.7:9400", True),
        ("[::1]:9400", True),
        ("", False),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("127.0.0.1@evil.example", False),
        ("127.0.0.1/evil", False),
        ("127.1", False),
        ("999.0.0.1", False),
        ("[evil]", False),
        ("[::1", False),
        ("localhost:", False),
    ],
)
def test_only_an_address_or_localhost_is_a_trusted_host(host: str, trusted: bool) -> None:
    assert is_trusted_host(host) == trusted


def test_garbage_and_silent_peers_do_not_keep_prometheus_out(
    learner: Joined, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporter._Handler, "timeout", 0.2)
    silent = [socket.create_connection(("127.0.0.1", port), 20) for _ in range(3 * MAX_REQUESTS)]
    silent[0].sendall(b"\x16\x03\x01\x02\x00" * 1000)
    silent[1].sendall(b"GET /" + b"x" * 100_000)

    def is_served() -> bool:
        try:
            return ask(port)[0] == 200
        except OSError:
            return False
        except http.client.HTTPException:
            return False

    until(is_served, "the silent ones to be hung up on")
    for connection in silent:
        connection.close()


def test_a_port_that_is_taken_is_said_once_and_the_run_goes_on(
    folder: Path, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    wired = replace(wiring(folder), prometheus=f"127.0.0.1:{port}")
    with socket.create_server(("127.0.0.1", port)), Joined(wired) as learner:
        assert learner.receiver("experience").recv(0) is None
    assert caplog.text.count(f"cannot serve Prometheus at 127.0.0.1:{port} (Address already in use)") == 1
    assert "spec.prometheus.port chooses another port" in caplog.text


def test_the_port_is_free_again_after_the_run(folder: Path, port: int) -> None:
    for incarnation in (1, 2):
        with Joined(replace(wiring(folder, incarnation=incarnation), prometheus=f"127.0.0.1:{port}")):
            assert ask(port)[0] == 200
