"""Memory that a learner shares with shards on its machine: a batch is written there and nowhere else.

The learner makes it without a name, and offers it by its own process and descriptor. A shard opens it through /proc and
compares a secret at its begin, so a shard on another machine, or in another container, finds nothing and answers in
messages. It is gone with the processes that have it open, however they end.
"""

import mmap
import os
import secrets
from typing import Any

NAME = "surreal-replay"
HEADER_BYTES = 64
SECRET_BYTES = 16
MOST_BYTES = 2**34
"""Size beyond which a shard opens nothing."""


class SharedMemory:
    """Anonymous memory that this process has made, or that another offers."""

    def __init__(self, mapped: mmap.mmap, descriptor: int | None, offer: list[Any]) -> None:
        self.mapped, self.offer = mapped, offer
        """The bytes, and the words by which another process finds them."""
        self._descriptor = descriptor

    @classmethod
    def make(cls, nbytes: int) -> "SharedMemory | None":
        """Return new memory for `nbytes` after the header; None where this system has none of this kind."""
        if not hasattr(os, "memfd_create") or not os.path.isdir("/proc/self/fd"):
            return None
        secret, size = secrets.token_bytes(SECRET_BYTES), HEADER_BYTES + nbytes
        descriptor = os.memfd_create(NAME, os.MFD_CLOEXEC)
        try:
            os.ftruncate(descriptor, size)
            mapped = mmap.mmap(descriptor, size)
        except OSError:
            os.close(descriptor)
            return None
        mapped[:SECRET_BYTES] = secret
        return cls(mapped, descriptor, [os.getpid(), descriptor, secret, size])

    @classmethod
    def attach(cls, offer: Any) -> "SharedMemory | None":
        """Return the memory that another process offers; None where it is not to be found from here."""
        if not _is_offer(offer):
            return None
        pid, number, secret, size = offer
        path = f"/proc/{pid}/fd/{number}"
        try:
            # nothing else that a peer names is opened
            if not os.readlink(path).startswith(f"/memfd:{NAME}"):
                return None
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            mapped = mmap.mmap(descriptor, size) if os.fstat(descriptor).st_size == size else None
        except OSError:
            return None
        finally:
            os.close(descriptor)
        if mapped is None or not secrets.compare_digest(mapped[:SECRET_BYTES], secret):
            return None
        return cls(mapped, None, list(offer))

    def close(self) -> None:
        """Offer it no more. What has it open keeps it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _is_offer(offer: Any) -> bool:
    """Return True for what `SharedMemory.make` may have offered."""
    if not isinstance(offer, list) or len(offer) != 4:
        return False
    pid, number, secret, size = offer
    numbers = all(type(each) is int and each > 0 for each in (pid, number, size))
    return numbers and isinstance(secret, bytes) and len(secret) == SECRET_BYTES and HEADER_BYTES < size <= MOST_BYTES
