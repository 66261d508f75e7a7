"""Fragments for tests: every number in them says which step it is of."""

from typing import Any

import numpy as np

from surreal.algorithms.types import Array
from surreal.protocol.wire.packet import Message


def fragment(
    rng: np.random.Generator, steps: int, copies: int = 1, ends: float = 0.2, width: int = 3, base: int = 0
) -> dict[str, Array]:
    """A fragment whose observations are numbered from `base`, and whose episodes end with probability `ends`."""
    count = (steps + 1) * copies
    numbers = np.arange(base, base + count, dtype=np.float32).reshape(steps + 1, copies)
    ended = rng.random((steps, copies)) < ends
    terminated = ended & (rng.random((steps, copies)) < 0.5)
    truncated = ended & ~terminated
    cut = np.argwhere(truncated)
    return {
        "observations": np.repeat(numbers[..., None], width, axis=2),
        "actions": rng.integers(0, 9, (steps, copies)),
        "rewards": rng.normal(size=(steps, copies)).astype(np.float32),
        "terminated": terminated,
        "truncated": truncated,
        # the final observation of a step is the negative number of the next one
        "final": np.array([np.full(width, -numbers[t + 1, c]) for t, c in cut], np.float32).reshape(len(cut), width),
    }


def message(arrays: dict[str, Array], seq: int = 0, sender: str = "actor/0", incarnation: int = 1) -> Message:
    """The message that carries a fragment."""
    return Message(sender, incarnation, seq, (1, 0), {}, arrays)


def transitions(arrays: dict[str, Array], n: int, gamma: float) -> list[dict[str, Any]]:
    """All n-step transitions of a fragment, by the definition, one at a time."""
    found, cut = [], [tuple(each) for each in np.argwhere(arrays["truncated"])]
    steps, copies = arrays["rewards"].shape
    for c in range(copies):
        for t in range(steps):
            total, discount, at = 0.0, 1.0, t
            while True:
                total += discount * float(arrays["rewards"][at, c])
                discount *= gamma
                following = arrays["observations"][at + 1, c]
                if arrays["terminated"][at, c]:
                    discount = 0.0
                    break
                if arrays["truncated"][at, c]:
                    following = arrays["final"][cut.index((at, c))]
                    break
                if at + 1 == steps or at + 1 - t == n:
                    break
                at += 1
            found.append(
                {
                    "observations": arrays["observations"][t, c],
                    "actions": arrays["actions"][t, c],
                    "rewards": total,
                    "discounts": discount,
                    "next_observations": following,
                }
            )
    return found
