"""Broadcast: one publisher, many subscribers, perhaps relays in between. A subscriber asks for the first value newer
than the one it has and gets it as soon as there is one, so a slow reader costs nothing, a late one is served at once,
and versions never go back.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from surreal.protocol.broadcast.fan_out import FanOut, encode
from surreal.protocol.transport.node import Node
from surreal.protocol.transport.stats import Stats
from surreal.protocol.wire.codec import narrow


class Publisher:
    """The writing end: binds. Readers and relays that come later are served while the working thread computes."""

    def __init__(self, node: Node, address: str, dtype: str = "") -> None:
        """Listens at once; readers wait until the first `publish`. `dtype`: `bfloat16` where float32 arrays are to
        travel at half the size, rounded; they arrive as float32."""
        self._node = node
        self._narrow = dtype == "bfloat16"
        self._fan_out = FanOut(node, address)

    def publish(self, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any], version: int) -> None:
        """Make this the newest value: (incarnation of this process, `version`).

        Large arrays are not copied: never change them afterwards. Raises ValueError where `version` does not grow
        or no message can carry the arrays.
        """
        full, newest = (self._node.incarnation, version), self._fan_out.version
        if full <= newest:
            raise ValueError(f"version {version} does not grow, {newest[1]} is published")
        if self._narrow:
            arrays = {name: narrow(array) if array.dtype == np.float32 else array for name, array in arrays.items()}
        self._fan_out.offer(encode(self._node.name, self._node.incarnation, full, meta, arrays))

    @property
    def stats(self) -> Stats:
        """A copy of the counters; `depth` is the number of readers that wait for the next version."""
        return self._fan_out.stats

    def close(self) -> None:
        """Stop listening."""
        self._fan_out.close()
