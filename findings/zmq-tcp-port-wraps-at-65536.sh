#!/usr/bin/env bash
# libzmq 4.3.5 (pyzmq 27.3.0) takes the port of a tcp endpoint modulo 65,536 and says nothing.
#
# "tcp://127.0.0.1:70000" is no endpoint: ports end at 65535. bind() raises no error and listens on 4464, and connect()
# with the same text reaches it, so both ends of a program agree on a port that nobody wrote, and that a firewall's or
# a pod's list of ports does not have. Where the port that is left belongs to another program, the error names the
# number that was written: "Address already in use (addr='tcp://127.0.0.1:70000')". Port 65536, of which
# nothing is left, and a port that is no number are refused with EINVAL, as one would expect of all of these.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pyzmq==27.3.0
"$folder/venv/bin/python" - <<'PY'
import socket as sockets

import zmq

context = zmq.Context()
assert zmq.zmq_version() == "4.3.5", zmq.zmq_version()


def bound(port):
    socket = context.socket(zmq.PULL)
    try:
        socket.bind(f"tcp://127.0.0.1:{port}")
    except zmq.ZMQError as error:
        return socket, f"{type(error).__name__}: {error}"
    return socket, socket.getsockopt_string(zmq.LAST_ENDPOINT)


with sockets.socket() as probe:  # a port that is free now, to be asked for as itself plus 65,536
    probe.bind(("127.0.0.1", 0))
    free = probe.getsockname()[1]
wrapped, place = bound(free + 65536)
print(f"bind to the free port N, written as N + 65536: listens on {'N' if place.endswith(f':{free}') else place}")
assert place == f"tcp://127.0.0.1:{free}", place
sender = context.socket(zmq.PUSH)
sender.connect(f"tcp://127.0.0.1:{free}")
sender.send(b"to N")
assert wrapped.poll(5000), "nothing arrived"
print("what is sent to N arrives there:", wrapped.recv())
_, again = bound(free + 65536)
print("bind once more:", again.replace(str(free + 65536), "N + 65536"))
assert "Address already in use" in again and str(free + 65536) in again, again
_, nothing = bound(65536)
print("bind to 65536:", nothing)
assert "Invalid argument" in nothing, nothing
_, words = bound("seventy")
print("bind to the port 'seventy':", words)
assert "Invalid argument" in words, words
context.destroy(0)
PY
