"""A hostile client: raw sockets that speak as much ZMTP 3.0 (NULL) as each test wants."""

import socket
import struct

MORE, LONG, COMMAND = 1, 2, 4
SIGNATURE = b"\xff" + bytes(8) + b"\x7f"


def greeting(mechanism: bytes = b"NULL") -> bytes:
    """The first 64 bytes of a connection."""
    return SIGNATURE + bytes([3, 0]) + mechanism.ljust(20, b"\0") + bytes(32)


def frame(data: bytes, flags: int = 0) -> bytes:
    """One frame on the wire."""
    return bytes([flags | LONG]) + struct.pack(">Q", len(data)) + data


def ready() -> bytes:
    """The handshake of a DEALER."""
    return frame(b"\x05READY\x0bSocket-Type" + struct.pack(">I", 6) + b"DEALER", COMMAND)


def connect(address: str) -> socket.socket:
    """A TCP or Unix connection that has said nothing yet."""
    scheme, _, place = address.partition("://")
    if scheme == "ipc":
        connected = socket.socket(socket.AF_UNIX)
        connected.connect(place)
    else:
        host, _, port = place.rpartition(":")
        connected = socket.create_connection((host, int(port)))
    connected.settimeout(30)
    return connected


def join(address: str) -> socket.socket:
    """A connection over which frames can be sent: both sides have said that they are ready."""
    connected = connect(address)
    connected.sendall(greeting() + ready())
    heard = b""
    while b"READY" not in heard:  # what comes before that, libzmq takes for a part of the handshake
        heard += connected.recv(1024)
    return connected


def is_cut(connected: socket.socket) -> bool:
    """Has the other side ended the connection? Waits until it says something or does."""
    try:
        while connected.recv(65536):
            pass
    except (ConnectionError, BrokenPipeError):
        pass
    except TimeoutError:
        return False
    return True
