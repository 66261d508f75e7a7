"""Messages of an actor: the arrays of a fragment, how large they may be, and what a learner refuses."""

from typing import Any

import numpy as np

from surreal.algorithms.environments.spaces import Spaces
from surreal.algorithms.types import Array
from surreal.protocol.errors import Fatal
from surreal.protocol.wire.limits import MAX_FRAME_BYTES, MAX_HEADER_BYTES, MAX_PACKET_BYTES

WIDE = (np.float32, np.float64)
"""Types of observations; the second where the first is too coarse for them."""


def allocate(spaces: Spaces, steps: int, copies: int, observation: Any = np.float32) -> dict[str, Array]:
    """Return the arrays [steps, copies, ...] that acting fills in step by step; `observation` is the features' type."""
    shape = (steps, copies)
    return {
        "observations": np.empty((steps + 1, copies, spaces.observation), dtype=observation),
        "actions": np.empty(shape, np.int64) if spaces.discrete else np.empty((*shape, spaces.action), np.float32),
        "rewards": np.empty(shape, dtype=np.float32),
        "terminated": np.zeros(shape, dtype=np.bool_),
        "truncated": np.zeros(shape, dtype=np.bool_),
    }


def check_size(spaces: Spaces, steps: int, copies: int) -> None:
    """Raise Fatal, with the number of steps that fits, where a fragment may exceed what a message takes."""
    observation = 4 * copies * spaces.observation
    action = copies * (8 if spaces.discrete else 4 * spaces.action)
    # every step may end all episodes, whose final observations, returns and lengths then travel too
    step = 2 * observation + action + copies * (4 + 4 + 1 + 1 + 8 + 8)
    room = MAX_PACKET_BYTES - MAX_HEADER_BYTES - observation
    fits = max(0, min(MAX_FRAME_BYTES // observation - 1, MAX_FRAME_BYTES // action, room // step))
    if steps <= fits:
        return
    advice = f"With {copies} copies at most {fits} steps fit" if fits else "Use fewer copies"
    raise Fatal(
        f"fragment_steps: {steps} makes fragments of up to {(step * steps + observation) / 1e6:,.0f} MB, "
        f"and a message has {MAX_PACKET_BYTES / 1e6:,.0f} MB at most. {advice}."
    )


class FragmentCheck:
    """Comparison of a fragment with what every actor of this run sends."""

    def __init__(self, spaces: Spaces, steps: int, copies: int) -> None:
        self._spaces, self._steps, self._copies = spaces, steps, copies
        self._expected = allocate(spaces, steps, copies)
        self._expected["log_probs"] = self._expected["rewards"]

    def problem(self, arrays: dict[str, Array]) -> str:
        """Return in words what is wrong with the arrays of a fragment; empty where nothing is."""
        for name, expected in self._expected.items():
            if (found := _unlike(name, arrays.get(name), expected.shape, (expected.dtype.type,))) and not (
                name == "observations" and not _unlike(name, arrays.get(name), expected.shape, WIDE)
            ):
                return found
        return self._wrong_lengths(arrays) or self._wrong_values(arrays)

    def _wrong_lengths(self, arrays: dict[str, Array]) -> str:
        cut, size = int(arrays["truncated"].sum()), self._spaces.observation
        ended = cut + int(arrays["terminated"].sum())
        return (
            _unlike("final", arrays.get("final"), (cut, size), (arrays["observations"].dtype.type,))
            or _unlike("episode_returns", arrays.get("episode_returns"), (ended,), (np.float64,))
            or _unlike("episode_lengths", arrays.get("episode_lengths"), (ended,), (np.int64,))
        )

    def _wrong_values(self, arrays: dict[str, Array]) -> str:
        if (arrays["terminated"] & arrays["truncated"]).any():
            return "episodes that are both terminated and truncated"
        actions = arrays["actions"]
        if self._spaces.discrete and not ((actions >= 0) & (actions < self._spaces.action)).all():
            return f"actions beyond the {self._spaces.action} choices"
        return ""


def _unlike(name: str, array: Array | None, shape: tuple[int, ...], types: tuple[type, ...]) -> str:
    if array is None:
        return f"no array {name!r}"
    if array.shape != shape or array.dtype not in types:
        return f"{name!r} of shape {array.shape} and type {array.dtype}, not {shape} and {types[0].__name__}"
    return ""
