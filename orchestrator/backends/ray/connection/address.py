"""Address of a Ray cluster as people write it, the token that opens it, and one quick try before Ray's long one."""

import os
import re
import socket
from dataclasses import dataclass
from pathlib import Path

from surreal.protocol.errors import InvalidInput, Unreachable

ADDRESS_VARIABLE = "RAY_ADDRESS"
MODE_VARIABLE = "RAY_AUTH_MODE"
TOKEN_VARIABLE, TOKEN_FILE_VARIABLE = "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"
TOKEN_FILE = Path(".ray", "auth_token")
"""Ray's own place for it, below the home directory."""
TRY_SECONDS = 1.0
"""Seconds for the first connection; Ray itself would try for 20."""
ANSWER_SECONDS = 5.0
"""Seconds for the first bytes of a Ray, whose machine may be busy; Ray itself would wait for a minute and more."""
TLS_VARIABLE = "RAY_USE_TLS"
OWN = "own"
"""Address of the Ray that surreal starts on this machine, whatever RAY_ADDRESS says."""
GCS_PORT, CLIENT_PORT = 6379, 10001
CLIENT = "ray://"
MOST = 65_535

_SETTINGS = 4
_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, _SETTINGS, 0, 0, 0, 0, 0))
"""Beginning of an HTTP/2 connection, as every gRPC server expects it: the preface and an empty SETTINGS frame."""
_ADDRESS = re.compile(r"(ray://)?(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9][A-Za-z0-9._-]*)(?::(\d{1,5}))?")


@dataclass(frozen=True)
class Address:
    """The head of a cluster: its GCS, or its server for clients that are no node of it."""

    host: str
    port: int
    client: bool = False
    """True for the server of Ray Client."""

    def __str__(self) -> str:
        return f"{CLIENT if self.client else ''}{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read `HOST`, `HOST:PORT` or `ray://HOST:PORT`. Raises InvalidInput for anything else."""
        found = _ADDRESS.fullmatch(text)
        port = int(found[3]) if found and found[3] else None
        if not found or (port is not None and not 1 <= port <= MOST):
            raise InvalidInput(
                f"--on ray:{text}: {text!r} is no address. Write HOST:{GCS_PORT} of a cluster that this machine "
                f"belongs to, or ray://HOST:{CLIENT_PORT}."
            )
        client = bool(found[1])
        return cls(found[2], port or (CLIENT_PORT if client else GCS_PORT), client)

    def try_to_connect(self) -> None:
        """Raise Unreachable, within a second, where nothing listens, and soon where something else than Ray does."""
        try:
            found = socket.create_connection((self.host.strip("[]"), self.port), TRY_SECONDS)
        except OSError as error:
            why = "no answer within a second" if isinstance(error, TimeoutError) else error.strerror or str(error)
            raise Unreachable(
                f"--on ray:{self}: no Ray answers there ({why}). Is its head running? Give {self._hint}"
            ) from None
        with found:
            if os.environ.get(TLS_VARIABLE, "0") in ("", "0") and not _speaks_grpc(found):
                raise Unreachable(
                    f"--on ray:{self}: what listens there is no Ray (its dashboard has a port of its own). "
                    f"Give {self._hint}"
                )

    @property
    def _hint(self) -> str:
        return "the port of `ray start --head`'s client server" if self.client else "the address it printed"


def _speaks_grpc(connection: socket.socket) -> bool:
    """Return True where the other end begins as a gRPC server does, with a SETTINGS frame."""
    connection.settimeout(ANSWER_SECONDS)
    begun = b""
    try:
        connection.sendall(_HELLO)
        while len(begun) < 4 and (more := connection.recv(64)):
            begun += more
    except OSError:
        return False
    return begun[3:4] == bytes((_SETTINGS,))


def named_address(given: str | None) -> Address | None:
    """Return the address of `--on ray:ADDRESS`, else of RAY_ADDRESS; None without either, and for OWN."""
    if given == OWN:
        return None
    text = given or os.environ.get(ADDRESS_VARIABLE) or None
    return Address.parse(text) if text else None


def token_source() -> str:
    """Return where this process has a token from; empty for none."""
    if os.environ.get(TOKEN_VARIABLE):
        return TOKEN_VARIABLE
    named = os.environ.get(TOKEN_FILE_VARIABLE)
    path = Path(named) if named else Path.home() / TOKEN_FILE
    return str(path) if path.is_file() else ""


def use_token() -> str:
    """Have Ray send the token that is there, and return where it is from; empty for none. Before Ray is imported.

    Ray finds it by itself only for a cluster without an address of its own.
    """
    source = token_source()
    if source:
        os.environ.setdefault(MODE_VARIABLE, "token")
    return source
