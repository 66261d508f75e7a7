"""Commands and connections into the pods of a run."""

import json
import os
import socket
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from surreal.orchestrator.backends.kube.exec import command as interactive
from surreal.orchestrator.backends.kube.exec import port_forward as forward_module
from surreal.orchestrator.backends.kube.exec.command import execute, running_pod
from surreal.orchestrator.backends.kube.exec.port_forward import forward
from surreal.orchestrator.backends.kube.logs import follow as logs
from surreal.orchestrator.backends.kube.run_folder import mirror as curves_module
from surreal.orchestrator.backends.kube.run_folder.locate import Glance, folder_of, writer
from surreal.orchestrator.backends.kube.status.snapshot import Snapshot
from surreal.protocol.errors import InvalidInput, NotFound, SurrealError
from surreal.provisioner.kube.client import Api
from surreal.provisioner.kube.objects import name_of
from surreal.provisioner.kube.websocket import OUTCOME, STDERR, STDIN, STDOUT, ClosedError, connect
from tests.cli.terminal import SURREAL, terminal
from tests.orchestrator.kube.apiserver import api_server
from tests.orchestrator.kube.small_run import CONTEXT, namespace, needs_cluster, start, when
from tests.orchestrator.kube.test_folder import pod, seen
from tests.orchestrator.runs import until

e2e = [
    pytest.mark.e2e,
    needs_cluster,
    pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning"),  # as its kubeconfig wants it
]


class Scripted:
    """A connection whose other side sends what was written down before."""

    def __init__(self, *messages: tuple[int, bytes]) -> None:
        self.messages, self.sent = list(messages), b""
        self.ended = threading.Event()

    def send(self, channel: int, data: bytes) -> None:
        if channel == STDIN:
            self.sent += data

    def receive(self, seconds: float | None = None) -> tuple[int, bytes]:
        if not self.messages:
            raise ClosedError("the connection was closed")
        if self.messages[0][0] == OUTCOME:
            assert self.ended.wait(120)
        return self.messages.pop(0)

    def end(self, channel: int) -> None:
        self.ended.set()

    def close(self) -> None:
        self.ended.set()


def failure(code: str) -> bytes:
    """What the API server says of a command that failed."""
    cause = {"reason": "ExitCode", "message": code}
    return json.dumps({"status": "Failure", "reason": "NonZeroExitCode", "details": {"causes": [cause]}}).encode()


def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, there: Scripted, stdin: bytes = b"") -> int:
    """Execute a command of which `there` is the other side."""
    read, write = os.pipe()
    os.write(write, stdin)
    os.close(write)
    before = os.dup(0)
    os.dup2(read, 0)
    monkeypatch.setattr(interactive, "connect", lambda *_where: there)
    try:
        with api_server(tmp_path) as server:
            return execute(server.api(), seen(pod()), "learner", ["sh", "-c", "work"], tty=False)
    finally:
        os.dup2(before, 0)
        os.close(before)
        os.close(read)


def test_a_command_has_our_pipes_and_its_exit_code_is_ours(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    there = Scripted((STDOUT, b"out\xff"), (STDERR, b"err"), (STDOUT, b"more"), (OUTCOME, failure("7")))
    assert run(monkeypatch, tmp_path, there, b"given\n" * 3) == 7
    assert there.sent == b"given\n" * 3
    assert capfdbinary.readouterr() == (b"out\xffmore", b"err")
    assert run(monkeypatch, tmp_path, Scripted((OUTCOME, b'{"status": "Success"}'))) == 0


@pytest.mark.parametrize(
    ("outcome", "error", "words"),
    [
        (
            b'{"status": "Failure", "message": "exec: \\"sh\\": executable file not found in $PATH: unknown"}',
            InvalidInput,
            "no 'sh' in the image of learner",
        ),
        (
            b'{"status": "Failure", "message": "container is not running"}',
            SurrealError,
            "sh: did not start in the pod of learner: container is not running",
        ),
        (b"nonsense", SurrealError, "learner: gives no readable exit code of sh: b'nonsense'"),
        (failure("many"), SurrealError, "learner: gives no readable exit code of sh"),
    ],
)
def test_a_command_that_does_not_start_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, outcome: bytes, error: type[Exception], words: str
) -> None:
    with pytest.raises(error) as caught:
        run(monkeypatch, tmp_path, Scripted((OUTCOME, outcome)))
    assert words in str(caught.value)


def test_a_connection_that_ends_before_the_command_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(SurrealError, match="learner: the connection was lost"):
        run(monkeypatch, tmp_path, Scripted((STDOUT, b"begun")))


def test_the_first_process_that_runs_is_meant_by_its_role() -> None:
    snapshot = seen(pod("actor", 0, "Pending"), pod("actor", 1), pod("learner"))
    assert name_of(running_pod(snapshot, "actor")) == "toy-actor-1-abcde"
    assert name_of(running_pod(snapshot, "actor/1")) == "toy-actor-1-abcde"
    with pytest.raises(InvalidInput, match="actor/0 of toy: does not run now: 1 of 2: the scheduler has not looked"):
        running_pod(snapshot, "actor/0")
    with pytest.raises(NotFound, match=r"did you mean 'actor'"):
        running_pod(snapshot, "aktor")


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (403, "you may not use exec in namespace lab: ask for `get` and `create` on pods/exec"),
        (404, "pod toy-learner-0-abcde is gone"),
        (401, "credentials of context double are not valid"),
        (500, "no exec of pod toy-learner-0-abcde: injected"),
    ],
)
def test_a_connection_that_is_refused_says_why(tmp_path: Path, status: int, words: str) -> None:
    with api_server(tmp_path) as server:
        server.fault(status)
        with pytest.raises(SurrealError) as caught:
            connect(server.api(), "toy-learner-0-abcde", "exec", [("command", "ls")])
        assert words in str(caught.value)


def test_an_api_server_that_is_gone_is_said(tmp_path: Path) -> None:
    with api_server(tmp_path) as server:
        api = server.api()
        server.fault("reset")
        with pytest.raises(
            SurrealError, match="pod toy-learner-0-abcde: the API server of context double opens no exec"
        ):
            connect(api, "toy-learner-0-abcde", "exec", [("command", "ls")])


class Echo:
    """A port of a pod that sends back what it gets, and ends when it gets `end`."""

    def __init__(self) -> None:
        self.waiting: list[tuple[int, bytes]] = [(0, b"\x90\x1f"), (1, b"\x90\x1f")]
        self.changed = threading.Condition()
        self.closed = False

    def send(self, channel: int, data: bytes) -> None:
        with self.changed:
            self.waiting.append((1, b"refused") if data == b"error" else (0, data))
            self.changed.notify()

    def receive(self, seconds: float | None = None) -> tuple[int, bytes]:
        with self.changed:
            if not self.changed.wait_for(lambda: self.waiting or self.closed, seconds):
                raise TimeoutError
            if not self.waiting:
                raise ClosedError("closed")
            return self.waiting.pop(0)

    def close(self) -> None:
        with self.changed:
            self.closed = True
            self.changed.notify()


@pytest.fixture
def forwarded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, int, threading.Thread]]:
    """A forwarded port: the server, the local port, and the thread that forwards."""
    monkeypatch.setattr(forward_module, "connect", lambda *_where: Echo())
    monkeypatch.setattr(forward_module, "LOOK_SECONDS", 0.05)
    ports: list[int] = []
    ready = threading.Event()

    def told(port: int) -> None:
        ports.append(port)
        ready.set()

    with api_server(tmp_path) as server:
        server.api().post("Pod", pod())
        arguments = (server.api(), seen(pod()), "learner", 0, 8080, told)
        thread = threading.Thread(target=forward, args=arguments)
        thread.start()
        assert ready.wait(120)
        yield server, ports[0], thread
        server.api().delete("Pod", "toy-learner-0-abcde")
        thread.join(120)
        assert not thread.is_alive()


def test_several_connections_use_a_forwarded_port_at_once(forwarded: tuple[Any, int, threading.Thread]) -> None:
    _, port, _ = forwarded
    with socket.create_connection(("127.0.0.1", port)) as one, socket.create_connection(("127.0.0.1", port)) as two:
        for number in range(3):
            for each in (one, two):
                each.sendall(b"hello %d" % number)
            assert one.recv(100) == two.recv(100) == b"hello %d" % number
        one.sendall(b"last")
        one.shutdown(socket.SHUT_WR)
        assert one.recv(100) == b"last"


def test_a_port_where_nothing_listens_is_said(forwarded: tuple[Any, int, threading.Thread]) -> None:
    server, port, _ = forwarded
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"error")
        assert client.recv(100) == b""
    assert server.said == ["nothing answers at port 8080 of learner: refused"]


def test_forwarding_ends_with_the_pod(forwarded: tuple[Any, int, threading.Thread]) -> None:
    server, _, thread = forwarded
    server.api().patch("Pod", "toy-learner-0-abcde", {"status": pod(phase="Succeeded")["status"]})
    thread.join(120)
    assert not thread.is_alive()
    assert "learner has ended, or is being replaced (pod toy-learner-0-abcde)" in server.said[-1]


def test_a_local_port_that_is_taken_is_said(tmp_path: Path) -> None:
    with api_server(tmp_path) as server, socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InvalidInput, match=f"port {port}: of this machine cannot be used: .*Name another"):
            forward(server.api(), seen(pod()), "learner", port, 80, lambda port: None)


# ---------------------------------------------------------------------------------------------------- a real cluster

WRITES = """
import http.server, json, os, time
for folder in ("metrics", "logs"):
    os.makedirs("/surreal/run/" + folder)
with open("/surreal/run/metrics/metrics.jsonl", "w") as file:
    file.write(json.dumps({"steps": 5, "updates": 1}) + "\\n")
with open("/surreal/run/metrics/noise", "wb") as file:
    file.write(bytes(range(256)) * 8192)
with open("/surreal/run/logs/actor-0.100000.log", "w") as file:
    file.write("10:00:00.000 INFO an actor of the past\\n")
print("it runs", flush=True)
"""
SERVES = WRITES + 'http.server.test(http.server.SimpleHTTPRequestHandler, port=8000, bind="127.0.0.1")\n'
ENDS = WRITES + "time.sleep(5)\n"
NOISE = bytes(range(256)) * 8192


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Api, Snapshot]]:
    """A run whose learner serves HTTP at port 8000, in a namespace that enforces Pod Security `restricted`."""
    with namespace() as api:
        start(api, {"learner": SERVES})
        yield api, when(api, "the learner runs", writer)


def surreal_exec(api: Api, *words: str, given: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    where = ["--on", "kube", "--context", CONTEXT, "-n", api.namespace]
    command = [*SURREAL, "exec", *where, "toy", "learner", "--", *words]
    return subprocess.run(command, input=given, capture_output=True, timeout=200, check=False)


class TestRealCluster:
    """What an API server, a kubelet and a container runtime make of it."""

    pytestmark = e2e

    def test_a_command_runs_in_the_pod(self, running: tuple[Api, Snapshot]) -> None:
        api, _ = running
        done = surreal_exec(api, "sh", "-c", "echo out; echo err >&2; exit 7")
        assert (done.returncode, done.stdout, done.stderr) == (7, b"out\n", b"err\n")
        noise = os.urandom(300_000)
        assert surreal_exec(api, "cat", given=noise).stdout == noise
        missing = surreal_exec(api, "no-such-command")
        assert missing.returncode == 2 and b"no 'no-such-command' in the image of learner" in missing.stderr

    def test_a_terminal_is_the_commands_own(self, running: tuple[Api, Snapshot]) -> None:
        api, _ = running
        where = ("--on", "kube", "--context", CONTEXT, "-n", api.namespace)
        with terminal("exec", *where, "toy", "learner", "--", "sh") as screen:
            screen.wait_for("$ ")
            screen.press(b"stty size; trap 'echo caught' INT; echo re''ady\n")
            screen.wait_for("ready")
            assert "24 80" in screen.shown or "40 120" in screen.shown
            screen.press(b"\x03")
            screen.wait_for("caught")
            screen.press(b"exit 9\n")
            assert screen.end() == 9

    def test_the_run_folder_is_read_from_the_pod(self, running: tuple[Api, Snapshot], tmp_path: Path) -> None:
        api, snapshot = running
        glance = Glance(api)
        until(lambda: glance.look(snapshot).progress.steps == 5, "the metrics are seen")
        glance.close()
        with folder_of(api, snapshot) as found:
            until(lambda: found.read("metrics/noise") == NOISE, "all bytes come")
            assert set(found.mirror(tmp_path, "metrics/")) == {"metrics/metrics.jsonl", "metrics/noise"}
        assert (tmp_path / "metrics" / "noise").read_bytes() == NOISE

    def test_a_port_of_the_pod_is_one_of_this_machine(self, running: tuple[Api, Snapshot]) -> None:
        api, snapshot = running
        port: list[int] = []
        arguments = (api, snapshot, "learner", 0, 8000, port.append)
        thread = threading.Thread(target=forward, args=arguments, daemon=True)
        thread.start()
        until(lambda: port, "the port is open")

        def answers() -> bool:
            try:
                return (
                    b"Directory listing" in urllib.request.urlopen(f"http://127.0.0.1:{port[0]}/", timeout=120).read()
                )
            except OSError:
                return False

        until(answers, "the pod answers")
        api.delete("Job", "toy-learner")
        thread.join(120)
        assert not thread.is_alive()

    def test_logs_and_files_outlive_the_pods_on_a_claim(self) -> None:
        with namespace() as api:
            start(api, {"learner": ENDS}, claim=True)
            when(api, "the learner runs", writer)
            lines = [(line.source, line.text) for line in logs.read(api, "toy", follow=True)]
            assert ("learner/0", "it runs") in lines and lines[-1][1].endswith("the run is over: succeeded")
            kept = [(line.source, line.text) for line in logs.read(api, "toy")]
            assert kept.count(("learner/0", "it runs")) == 1
            assert ("actor/0", "10:00:00.000 INFO an actor of the past") in kept
            with curves_module.metrics_folder(api, "toy") as folder:
                assert (folder / "noise").read_bytes() == NOISE
            until(lambda: len(api.list("Pod")) == 1, "the reader is gone")
