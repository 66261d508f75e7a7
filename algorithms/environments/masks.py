"""Action masks: choices that an environment allows in its present state, from `info["action_mask"]`."""

from collections.abc import Mapping, Sequence
from functools import cache
from logging import getLogger
from typing import Any

import numpy as np

from surreal.algorithms.types import Array, Bool
from surreal.protocol.errors import Fatal

KEY = "action_mask"
log = getLogger(__name__)


def gives_masks(info: Mapping[str, Any], choices: Sequence[int]) -> bool:
    """Return True where the `info` of a reset has a mask, and actions are choices that it can be of."""
    return bool(choices) and info.get(KEY) is not None


def idle_mask(name: str, info: Mapping[str, Any], choices: Sequence[int]) -> str:
    """Return why the mask in the `info` of a reset has no effect, having said it once; empty for none."""
    return "" if choices or info.get(KEY) is None else _warn(name)


@cache
def _warn(name: str) -> str:
    why = f"its {KEY} has no effect, for its actions are numbers"
    text = f"environment {name}: {why}. Leave it out, or take Discrete actions."
    log.warning("%s", text)
    return text


def check_masks(algorithm: str, name: str, masked: bool) -> None:
    """Raise Fatal where an algorithm that knows no masks of choices gets an environment, here reset, that has some."""
    if masked:
        raise Fatal(f"algorithm.name: {algorithm!r} knows no masks of choices, and {name!r} has some. Use ppo.")


def read_mask(name: str, method: str, info: Mapping[str, Any], choices: Sequence[int]) -> Bool:
    """Return the allowed choices [sum of choices] of all parts of an action, one after another.

    The mask is one array of all choices, or one for each part, as gymnasium's `sample` takes them. Raises Fatal for one
    that is missing, of another length, or that allows no choice of a part. `name` is as in `contract`.
    """
    given = info.get(KEY)
    if given is None:
        raise _broken(name, method, "gave none, though reset() did", "Give one in the info of every step and reset")
    mask = _flat(given)
    if mask is None or mask.shape != (sum(choices),):
        found = "is no array of flags" if mask is None else f"has {mask.size} flags"
        raise _broken(name, method, f"{found}, and an action has {_said(choices)}", "Give one flag for each choice")
    start = 0
    for number, count in enumerate(choices):
        if not mask[start : start + count].any():
            part = f"of part {number} of the action " if len(choices) > 1 else ""
            raise _broken(name, method, f"allows no choice {part}(all false)", "Allow one at least, or end the episode")
        start += count
    return mask


def _flat(given: Any) -> Array | None:
    """Return the flags one after another; None for what has none."""
    parts = given if isinstance(given, tuple | list) else [given]
    try:
        flags = np.concatenate([np.asarray(part).reshape(-1) for part in parts])
    except (TypeError, ValueError):
        return None
    return flags.astype(np.bool_) if flags.dtype.kind in "biuf" else None


def _said(choices: Sequence[int]) -> str:
    total = f"{sum(choices)} choices"
    return total if len(choices) == 1 else f"{total} ({' + '.join(map(str, choices))})"


def _broken(name: str, method: str, what: str, advice: str) -> Fatal:
    return Fatal(f"environment {name}: the {KEY} of {method}() {what}. {advice}.")
