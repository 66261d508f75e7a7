"""Messages of an actor: the arrays of a fragment, how large they may be, and what a learner refuses."""

from collections.abc import Callable, Iterable, Mapping
from logging import getLogger
from math import prod
from typing import Any

import numpy as np

from surreal.algorithms.environments.frames import final_shapes, frame, shapes
from surreal.algorithms.environments.spaces import Spaces
from surreal.algorithms.types import Array
from surreal.protocol.errors import Fatal
from surreal.protocol.graph import ProcessName
from surreal.protocol.stream.receiver import StreamReceiver
from surreal.protocol.wire.limits import MAX_FRAME_BYTES, MAX_HEADER_BYTES, MAX_PACKET_BYTES
from surreal.protocol.wire.packet import Message

log = getLogger(__name__)
Expected = tuple[tuple[int, ...], np.dtype[Any]]
WIDE = (np.float32, np.float64)
"""Types of numbers in observations; the second where the first is too coarse for them."""
RESTARTS = "restarts"
"""Key beside a fragment: times that its actor, in this life, has begun new episodes in all copies."""


def allocate(spaces: Spaces, steps: int, copies: int) -> dict[str, Array]:
    """Return the arrays [steps, copies, ...] that acting fills in step by step, but the observations."""
    shape = (steps, copies)
    return {
        "actions": np.empty((*shape, *spaces.taken), np.int64 if spaces.discrete else np.float32),
        "rewards": np.empty(shape, dtype=np.float32),
        "terminated": np.zeros(shape, dtype=np.bool_),
        "truncated": np.zeros(shape, dtype=np.bool_),
    }


def check_size(spaces: Spaces, steps: int, copies: int) -> None:
    """Raise Fatal, with the number of steps that fits, where a fragment may exceed what a message takes."""
    frames = [leaf.dtype.itemsize * prod(frame(leaf, spaces)) for leaf in spaces.leaves.values()]
    observation, masks = copies * sum(frames), copies * sum(spaces.choices)
    action = copies * (8 if spaces.discrete else 4) * prod(spaces.taken)
    # every step may end all episodes, whose final observations, returns and lengths then travel too
    step = 2 * observation + action + masks + copies * (4 + 4 + 1 + 1 + 8 + 8)
    most = max(*(copies * size for size in frames), action)
    room = MAX_PACKET_BYTES - MAX_HEADER_BYTES - masks - spaces.stack * observation
    fits = max(0, min(MAX_FRAME_BYTES // most - spaces.stack, room // step))
    if steps <= fits:
        return
    advice = f"With {copies} copies at most {fits} steps fit" if fits else "Use fewer copies"
    size = step * steps + spaces.stack * observation
    raise Fatal(
        f"fragment_steps: {steps} makes fragments of up to {size / 1e6:,.0f} MB, "
        f"and a message has {MAX_PACKET_BYTES / 1e6:,.0f} MB at most. {advice}."
    )


class FragmentCheck:
    """Comparison of a fragment with what every actor of this run sends."""

    def __init__(self, spaces: Spaces, steps: int, copies: int, memory: tuple[int, int] = (0, 0)) -> None:
        """Expect fragments with `memory` (sequences, state size) besides."""
        self._spaces, self._steps, self._copies = spaces, steps, copies
        expected = allocate(spaces, steps, copies)
        expected["log_probs"] = expected["rewards"]
        if memory[1]:
            expected["states"] = np.empty((memory[0], copies, memory[1]), dtype=np.float32)
        plain = {name: (array.shape, array.dtype) for name, array in expected.items()}
        self._expected: Mapping[str, Expected] = {**shapes(spaces, steps, copies), **plain}

    def problem(self, arrays: dict[str, Array]) -> str:
        """Return in words what is wrong with the arrays of a fragment; empty where nothing is."""
        for name, (shape, dtype) in self._expected.items():
            if found := _unlike(name, arrays.get(name), shape, _types(name, dtype)):
                return found
        return self._wrong_lengths(arrays) or self._wrong_values(arrays) or self._wrong_masks(arrays)

    def _wrong_lengths(self, arrays: dict[str, Array]) -> str:
        cut = int(arrays["truncated"].sum())
        ended = cut + int(arrays["terminated"].sum())
        for name, (shape, dtype) in final_shapes(self._spaces, cut).items():
            same = arrays[f"observations{name.removeprefix('final')}"].dtype.type
            if found := _unlike(name, arrays.get(name), shape, (dtype.type,) if dtype.kind != "f" else (same,)):
                return found
        return _unlike("episode_returns", arrays.get("episode_returns"), (ended,), (np.float64,)) or _unlike(
            "episode_lengths", arrays.get("episode_lengths"), (ended,), (np.int64,)
        )

    def _wrong_values(self, arrays: dict[str, Array]) -> str:
        if (arrays["terminated"] & arrays["truncated"]).any():
            return "episodes that are both terminated and truncated"
        actions, choices = arrays["actions"], self._spaces.choices
        if choices and not ((actions >= 0) & (actions < (choices if self._spaces.taken else choices[0]))).all():
            return f"actions beyond the {' and '.join(map(str, choices))} choices"
        return ""

    def _wrong_masks(self, arrays: dict[str, Array]) -> str:
        masks, choices = arrays.get("masks"), self._spaces.choices
        if masks is None:
            return ""
        if found := _unlike("masks", masks, (self._steps + 1, self._copies, sum(choices)), (np.bool_,)):
            return found
        if not all(part.any(axis=-1).all() for part in np.split(masks, np.cumsum(choices)[:-1], axis=-1)):
            return "masks that allow no choice"
        return ""


def _types(name: str, dtype: np.dtype[Any]) -> tuple[type, ...]:
    return WIDE if name.startswith("observations") and dtype.kind == "f" else (dtype.type,)


def _unlike(name: str, array: Array | None, shape: tuple[int, ...], types: tuple[type, ...]) -> str:
    if array is None:
        return f"no array {name!r}"
    if array.shape != shape or array.dtype not in types:
        return f"{name!r} of shape {array.shape} and type {array.dtype}, not {shape} and {types[0].__name__}"
    return ""


class Intake:
    """Receiving end of the actors' fragments."""

    def __init__(
        self,
        channel: StreamReceiver,
        actors: Iterable[int],
        epoch: int,
        problem: Callable[[Message], str] = lambda message: "",
    ) -> None:
        """Take fragments of these `actors`, acted with weights of the first learner's incarnation `epoch`.

        `problem` says what is wrong with a fragment.
        """
        self._channel, self._actors, self._epoch, self._problem = channel, set(actors), epoch, problem
        self.dropped_epoch = 0
        """Fragments collected for a learner that died: what its death cost."""
        self.dropped_malformed = 0
        """Messages that are no fragments of this run."""

    def sender(self, message: Message, version: int) -> int | None:
        """Return the index of the actor whose fragment is fit for update `version`; None for one that is dropped."""
        if message.version[0] != self._epoch:
            self.dropped_epoch += 1
            return None
        sender = ProcessName.find(message.sender)
        known = sender is not None and sender.role == "actor" and sender.index in self._actors
        problem = self._problem(message) if known else "it is no actor of this learner"
        if not problem and message.version[1] > version:
            problem = f"weights {message.version[1]} are not out yet"
        if problem or sender is None:
            self.dropped_malformed += 1
            log.warning("%s sent no fragment of this run: %s; it does not count", message.sender, problem)
            return None
        return sender.index
