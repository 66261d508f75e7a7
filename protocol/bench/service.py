"""A server with many clients, beside a raw ROUTER that echoes.

The server is what clients share, so it is what is measured. On both sides of a ratio the clients are sockets in one
process with one poller, each of which asks again as soon as it has its answer. On both sides they do as little as they
can: what they ask is encoded before, ours only put a number on it and look for that number in the answer.
"""

import json
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from tempfile import TemporaryDirectory

import numpy as np
import zmq

from surreal.protocol.bench.harness import Case
from surreal.protocol.service.rows import Outcome
from surreal.protocol.service.server import ServiceServer
from surreal.protocol.transport.node import Node
from surreal.protocol.wire.codec import encode_body, encode_prefix
from surreal.protocol.wire.packet import Kind

CLIENTS = 256
BYTES = 128
"""Bytes of a request, and of its answer."""
GATHERED = 64
WARM = 0.5
"""Seconds until all are connected and asked once."""
REQUEST, REPLY = int(Kind.REQUEST), int(Kind.REPLY)
SEQ, SEQ_AT = struct.Struct("<Q"), 16
"""Number of a request, and its place in a header (docs/wire.md)."""


def cases() -> list[Case]:
    """Return the cases of `surreal bench protocol` on services."""
    return [
        Case(
            f"service, {CLIENTS} clients, {BYTES} B, gathered",
            lambda seconds: _run("serve", "ask", seconds)[0],
            lambda seconds: _run("echo", "ask-raw", seconds)[0],
            "requests/s",
            0.85,
        ),
        Case(
            f"service, {CLIENTS} clients, 99th percentile",
            lambda seconds: 1 / _run("serve", "ask", seconds)[1],
            lambda seconds: 1 / _run("echo", "ask-raw", seconds)[1],
            "1/s",
            1 / 3,
        ),
    ]


def _run(server: str, clients: str, seconds: float) -> tuple[float, float]:
    """Return (requests per second, 99th percentile of seconds from a question to its answer)."""
    command = [sys.executable, "-P", "-m", "surreal.protocol.bench.service"]
    with TemporaryDirectory(prefix="srl") as folder:
        address = f"ipc://{folder}/service"
        child = subprocess.Popen([*command, server, address])
        try:
            done = subprocess.run([*command, clients, address, str(seconds)], stdout=subprocess.PIPE, check=True)
        finally:
            child.kill()
            child.wait()
    rate, percentile = json.loads(done.stdout)
    return rate, percentile


def _serve(address: str) -> None:
    server = ServiceServer(Node("server/0", 1), address, window=4)
    server.serve(lambda arrays: {"action": arrays["observation"]}, GATHERED)


def _echo(address: str) -> None:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as socket:
        socket.bind(address)
        while True:
            socket.send_multipart(socket.recv_multipart())


class _Load:
    """Asks with every socket as soon as it has its answer, and notes how long that took."""

    def __init__(self, sockets: list["zmq.Socket[bytes]"], ask: Callable[[int], object], take: Callable[[int], object]):
        """Keep two functions: `ask(i)` asks with socket i, `take(i)` takes its answer."""
        self._ask, self._take = ask, take
        self._numbers = {socket: i for i, socket in enumerate(sockets)}
        self._asked = [0.0] * len(sockets)
        self._poller = zmq.Poller()
        for socket in sockets:
            self._poller.register(socket, zmq.POLLIN)

    def run(self, seconds: float) -> tuple[float, float]:
        """Return (answers per second, 99th percentile of the seconds they took)."""
        for number in self._numbers.values():
            self._again(number)
        self._turn(WARM)
        began = time.perf_counter()
        took = self._turn(seconds)
        return len(took) / (time.perf_counter() - began), statistics.quantiles(took, n=100)[-1]

    def _turn(self, seconds: float) -> list[float]:
        took: list[float] = []
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            for socket, _ in self._poller.poll(100):
                number = self._numbers[socket]
                self._take(number)
                took.append(time.perf_counter() - self._asked[number])
                self._again(number)
        return took

    def _again(self, number: int) -> None:
        self._asked[number] = time.perf_counter()
        self._ask(number)


def _ask(address: str, seconds: float) -> tuple[float, float]:
    arrays = {"observation": np.zeros(BYTES // 4, np.float32)}
    questions, answers = [], []
    for client in range(CLIENTS):
        body = encode_body(f"actor/{client}", 1, arrays=arrays).body
        questions.append(bytearray(encode_prefix(REQUEST, 10_000, client, 0, 0) + body))
        answers.append(bytearray(encode_prefix(REPLY, Outcome.ANSWERED, client, 0, 0)))
    sockets, numbers = _dealers(address), [0] * CLIENTS

    def ask(client: int) -> None:
        numbers[client] = number = numbers[client] + 1
        SEQ.pack_into(questions[client], SEQ_AT, number)
        SEQ.pack_into(answers[client], SEQ_AT, number)
        sockets[client].send(questions[client])

    def take(client: int) -> None:
        if not sockets[client].recv().startswith(answers[client]):
            raise RuntimeError(f"actor/{client} got something else than its answer")

    return _Load(sockets, ask, take).run(seconds)


def _ask_raw(address: str, seconds: float) -> tuple[float, float]:
    sockets, question = _dealers(address), bytes(BYTES)
    return _Load(sockets, lambda client: sockets[client].send(question), lambda client: sockets[client].recv()).run(
        seconds
    )


def _dealers(address: str) -> "list[zmq.Socket[bytes]]":
    context = zmq.Context()
    context.set(zmq.MAX_SOCKETS, 2 * CLIENTS)
    sockets = [context.socket(zmq.DEALER) for _ in range(CLIENTS)]
    for socket in sockets:
        socket.linger = 0
        socket.connect(address)
    return sockets


def _main(kind: str, address: str, *seconds: str) -> None:
    if kind in ("serve", "echo"):
        (_serve if kind == "serve" else _echo)(address)
    else:
        ask = _ask if kind == "ask" else _ask_raw
        print(json.dumps(ask(address, float(seconds[0]))))


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        _main(*sys.argv[1:])
