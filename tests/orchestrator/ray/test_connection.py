"""Addresses, tokens, and the errors of Ray in sentences."""

import os
import signal
import socket
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from time import sleep

import pytest

from surreal.orchestrator.backends.ray.connection import address as addresses
from surreal.orchestrator.backends.ray.connection import cluster
from surreal.orchestrator.backends.ray.connection.address import Address, named_address, use_token
from surreal.orchestrator.backends.ray.connection.cluster import _initialize, translated
from surreal.orchestrator.run.location import Location
from surreal.protocol.errors import ExitCode, InvalidInput, Unreachable
from tests.cli.terminal import surreal

VERSIONS = (
    "Version mismatch: The cluster was started with:\n    Ray: 2.51.0\n    Python: 3.10.4\n"
    "This process on node 10.0.0.7 was started with:\n    Ray: 2.60.0\n    Python: 3.11.7\n"
)


@pytest.fixture(autouse=True)
def no_ray_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A home of its own, without a token."""
    for name in ("RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("head", Address("head", 6379)),
        ("10.0.0.1:6380", Address("10.0.0.1", 6380)),
        ("ray://head", Address("head", 10001, client=True)),
        ("ray://[::1]:4000", Address("[::1]", 4000, client=True)),
    ],
)
def test_an_address_is_read_as_ray_writes_it(text: str, read: Address) -> None:
    assert Address.parse(text) == read
    assert Address.parse(str(read)) == read


@pytest.mark.parametrize("text", ["http://head:8265", "head:99999", "head:", "a b", "-x", "ray://"])
def test_what_is_no_address_is_named(text: str) -> None:
    with pytest.raises(InvalidInput, match="is no address. Write HOST:6379"):
        Address.parse(text)


def test_the_option_outweighs_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    assert named_address(None) is None
    monkeypatch.setenv("RAY_ADDRESS", "there:1")
    assert named_address(None) == Address("there", 1)
    assert named_address("here:2") == Address("here", 2)


def test_where_nothing_listens_is_said_within_a_second() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(Unreachable, match=f"no Ray answers there .*127.0.0.1:{port}|ray:127.0.0.1:{port}: no Ray"):
            Address("127.0.0.1", port).try_to_connect()


def answering(answer: bytes) -> "tuple[socket.socket, threading.Thread]":
    """A server that says something to the first who comes, and then nothing."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = server.accept()
        with connection, suppress(ConnectionError):  # the other end may go before it has read all
            connection.sendall(answer)
            while connection.recv(1024):
                pass

    thread = threading.Thread(target=serve)
    thread.start()
    return server, thread


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n", b""])
def test_what_listens_and_is_no_ray_is_said_before_ray_tries(answer: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "ANSWER_SECONDS", 0.2)
    server, thread = answering(answer)
    with server:
        with pytest.raises(Unreachable, match="what listens there is no Ray .its dashboard has a port of its own"):
            Address("127.0.0.1", server.getsockname()[1]).try_to_connect()
        thread.join()


def test_what_begins_as_grpc_does_is_tried_by_ray_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    server, thread = answering(bytes((0, 0, 0, 4, 0, 0, 0, 0, 0)))
    with server:
        Address("127.0.0.1", server.getsockname()[1]).try_to_connect()
        thread.join()
    monkeypatch.setenv("RAY_USE_TLS", "1")
    server, thread = answering(b"\x15\x03")
    with server:
        Address("127.0.0.1", server.getsockname()[1]).try_to_connect()
        thread.join()


def test_a_token_that_is_there_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "")
    monkeypatch.delenv("RAY_AUTH_MODE")
    assert use_token() == "" and addresses.MODE_VARIABLE not in os.environ
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("secret")
    assert use_token() == str(tmp_path / ".ray" / "auth_token")
    assert os.environ[addresses.MODE_VARIABLE] == "token"
    monkeypatch.setenv("RAY_AUTH_TOKEN", "secret")
    assert use_token() == "RAY_AUTH_TOKEN"


def test_other_versions_are_both_named() -> None:
    found = translated(RuntimeError(VERSIONS), Address("head", 6379))
    assert isinstance(found, InvalidInput)
    for word in ("Ray 2.51.0 on Python 3.10.4", "Ray 2.60.0 on Python 3.11.7", "Nothing was sent"):
        assert word in str(found)


def test_a_refusal_says_whether_there_was_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = RuntimeError("Unauthenticated: invalid token")
    assert "there is none here" in str(translated(refused, Address("head", 6379)))
    monkeypatch.setenv("RAY_AUTH_TOKEN", "wrong")
    assert "the token of RAY_AUTH_TOKEN is not the cluster's" in str(translated(refused, Address("head", 6379)))


def test_what_ray_logs_while_it_fails_to_connect_is_not_shown(capfd: pytest.CaptureFixture[str]) -> None:
    line = b"[2026-11-30 04:58:50,927 W 11112 11112] gcs_client.cc:210: Failed to get cluster ID: 404 rpc_code: 12\n"

    class Deaf:
        def init(self, **_: object) -> None:
            os.write(2, line + b"a line of another thread\n" + line.replace(b" W ", b" C "))
            warnings.warn("Ray Client connection timed out.", stacklevel=1)
            raise ConnectionError("Failed to connect to Ray cluster at head:6379")

    with pytest.raises(
        Unreachable, match=r"--on ray:head:6379: what listens there is no Ray that answers, or it wants"
    ):
        _initialize(Deaf(), Address("head", 6379))
    os.write(2, b"after\n")
    said = capfd.readouterr().err
    assert said == f"a line of another thread\n{line.decode().replace(' W ', ' C ')}after\n"


CONNECTING = """
import os, sys
from surreal.orchestrator.backends.ray.connection.quiet import without_words_of_ray
with without_words_of_ray():
    os.write(2, b"one\\n[2026-11-30 04:58:50,927 C 1 1] core_worker.cc:9: Check failed: no GCS\\n")
    {then}
"""


def test_the_last_words_of_ray_are_shown_where_it_ends_the_process() -> None:
    done = subprocess.run([sys.executable, "-c", CONNECTING.format(then="os.abort()")], stderr=subprocess.PIPE)
    assert done.returncode == -signal.SIGABRT
    assert done.stderr == b"one\n[2026-11-30 04:58:50,927 C 1 1] core_worker.cc:9: Check failed: no GCS\n"


def test_standard_error_whose_reader_is_gone_never_becomes_another_file(tmp_path: Path) -> None:
    readable, writable = os.pipe()
    os.close(readable)
    other = tmp_path / "other"
    # a file that is opened meanwhile takes the number of one that is closed
    then = f"import time; time.sleep(0.3); other = open({str(other)!r}, 'w')\nos.write(2, b'x')"
    subprocess.run([sys.executable, "-c", CONNECTING.format(then=then)], stderr=writable)
    os.close(writable)
    assert other.read_text() == ""


def test_threads_that_connect_at_once_join_once(monkeypatch: pytest.MonkeyPatch) -> None:
    class Ray:
        joined = 0

        def is_initialized(self) -> bool:
            return bool(self.joined)

        def init(self, **_: object) -> None:
            sleep(0.1)
            self.joined += 1

    ray = Ray()
    monkeypatch.setattr(cluster, "require_ray_with_token", lambda: ray)
    monkeypatch.setattr(Address, "try_to_connect", lambda _: None)
    before = os.fstat(2)
    with ThreadPoolExecutor(3) as pool:
        assert len(list(pool.map(cluster.connect, [Location.of("ray:head:6379")] * 3))) == 3
    assert ray.joined == 1
    assert os.path.samestat(before, os.fstat(2))


def test_an_address_may_be_given_as_ray_itself_writes_it() -> None:
    found = Location.of("ray://head:10001")
    assert found == Location.of("ray:ray://head:10001") and found.on == "ray:ray://head:10001"


def test_a_machine_outside_of_the_cluster_is_sent_to_ray_client() -> None:
    found = translated(RuntimeError("Can't find a `node_ip_address.json` file"), Address("head", 6379))
    assert "ray://head:10001" in str(found)


def test_the_command_line_names_an_address_where_nothing_listens(tmp_path: Path) -> None:
    file = tmp_path / "e.yaml"
    file.write_text(
        "apiVersion: surreal.dev/v1alpha1\nkind: Experiment\nmetadata: {name: e}\n"
        "spec: {env: {id: CartPole-v1}, algorithm: {name: ppo}}\n"
    )
    answer = surreal("create", file, "--on", "ray:127.0.0.1:1")
    assert answer.returncode == ExitCode.UNREACHABLE
    assert "--on ray:127.0.0.1:1: no Ray answers there (Connection refused)" in answer.stderr
    assert "Traceback" not in answer.stderr
    answer = surreal("create", file, "--on", "ray", "--context", "c")
    assert answer.returncode == ExitCode.INVALID and "is about Kubernetes. Give --on kube" in answer.stderr
