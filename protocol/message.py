"""What a channel hands to its reader."""

from typing import Any, NamedTuple

import numpy as np

Version = tuple[int, int]
"""(epoch, version). The epoch is the incarnation of the publisher, so versions grow over its restarts too."""


class Message(NamedTuple):
    """Named arrays with a little plain data, as one process sent them. The arrays are read-only views on the wire's
    memory: copy what has to be changed."""

    sender: str
    incarnation: int
    seq: int
    """Stream: counts this sender's messages from 0. Broadcast: the version again."""
    version: Version
    meta: dict[str, Any]
    arrays: dict[str, np.ndarray]
