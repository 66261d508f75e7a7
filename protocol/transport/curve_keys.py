"""CURVE keys: one pair for each role of an experiment, made when it is created and void when it is deleted.

A key file is what one role may know: its own secret, and the public key of every role, which is how ports recognise
their peers. It is JSON with keys in Z85 (ZeroMQ RFC 32). Nothing here, or of its callers, logs a key.
"""

import json
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import zmq
from zmq.utils import z85

from surreal.protocol.errors import Fatal

KEY_BYTES = 32
"""Bytes of a public or a secret key (Curve25519)."""


@dataclass(frozen=True)
class Keys:
    """The keys of a process: its role and secret, and the public keys by which it knows its peers."""

    role: str
    secret: bytes = field(repr=False)
    public: dict[str, bytes] = field(repr=False)
    """Role -> its public key, for every role of the experiment."""

    @classmethod
    def read(cls, path: Path) -> "Keys":
        """Read a key file. Raises Fatal, naming the file but never what is in it, when it is none or not private."""
        try:
            if stat.S_IMODE(path.stat().st_mode) & 0o007:
                raise Fatal(f"keys: {path} can be read by every user. Run chmod o-rwx {path}")
            return cls.parse(path.read_text())
        except OSError as error:
            raise Fatal(f"keys: cannot read {path}: {error.strerror}. Let this user read it.") from None
        except ValueError as error:
            raise Fatal(
                f"keys: {path} is no key file of this version of surreal: {error}. Create the run anew."
            ) from None

    @classmethod
    def parse(cls, text: str) -> "Keys":
        """Return the keys in the content of a key file. Raises ValueError, whose text contains no key."""
        try:
            data = json.loads(text)
            public = {str(role): _decode(key) for role, key in data["public"].items()}
            keys = cls(str(data["role"]), _decode(data["secret"]), public)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ValueError("it wants JSON with role, secret and public, and Z85 keys of 40 characters") from None
        if keys.role not in public or zmq.curve_public(z85.encode(keys.secret)) != z85.encode(public[keys.role]):
            raise ValueError(f"the secret is not that of the role {keys.role!r}")
        return keys


def make_key_files(roles: Iterable[str]) -> dict[str, str]:
    """Return new keys for the roles of one experiment: role -> the content of its key file."""
    pairs = {role: zmq.curve_keypair() for role in roles}
    public = {role: pair[0].decode() for role, pair in pairs.items()}
    return {
        role: json.dumps({"role": role, "secret": secret.decode(), "public": public}, indent=1)
        for role, (_, secret) in pairs.items()
    }


def write_key_files(contents: dict[str, str], folder: Path) -> dict[str, Path]:
    """Write each role's key file as `folder`/ROLE.json, readable by its owner only; role -> path.

    Raises FileExistsError rather than replace a key.
    """
    paths = {role: folder / f"{role}.json" for role in contents}
    for role, path in paths.items():
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(contents[role])
    return paths


def _decode(key: str) -> bytes:
    """Return the bytes of a key in Z85. Raises ValueError or TypeError for anything else."""
    if not key.isascii() or len(key) != KEY_BYTES // 4 * 5:
        raise ValueError("no key")
    decoded: bytes = z85.decode(key.encode())
    return decoded
