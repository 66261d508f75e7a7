"""Comparison of what an environment returned with what it declares: Fatal with one sentence where they differ.

Each `name` is what the environment is called there: its id in quotes, and the wrappers of one's own that it is in.
"""

import inspect
from collections.abc import Mapping
from traceback import walk_tb
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from surreal.protocol.errors import Fatal

Env = gymnasium.Env[Any, Any]
STEP = "(observation, reward, terminated, truncated, info)"
STUMBLES = (TypeError, ValueError, AttributeError, LookupError, AssertionError)
"""Errors that a wrapper raises over a value that it did not expect."""
TAKES: dict[str, tuple[tuple[Any, ...], dict[str, Any], str, str]] = {
    "reset": ((), {"seed": 0, "options": None}, "seed= and options=", "reset(self, *, seed=None, options=None)"),
    "step": ((0,), {}, "an action", "step(self, action)"),
}
"""Method -> arguments that it is called with, their names in words, and how to declare it."""


def check_reset(name: str, space: spaces.Space[Any], returned: Any) -> None:
    """Raise Fatal unless `returned`, of reset, is an observation of `space` and an info dictionary."""
    if not isinstance(returned, tuple | list) or len(returned) != 2 or not isinstance(returned[1], Mapping):
        raise _broken(name, "reset", f"returned {_said(returned)}, not (observation, info)", "Return both")
    _check_observation(name, "reset", space, returned[0])


def check_step(name: str, space: spaces.Space[Any], returned: Any) -> None:
    """Raise Fatal unless `returned`, of step, is the five values that gymnasium asks for."""
    if not isinstance(returned, tuple | list) or len(returned) != 5:
        old = isinstance(returned, tuple | list) and len(returned) == 4
        advice = "Split done into terminated and truncated" if old else "Return these five"
        raise _broken(name, "step", f"returned {_said(returned)}, not {STEP}", advice)
    observation, reward, terminated, truncated, info = returned
    _check_observation(name, "step", space, observation)
    real(name, reward)
    flag(name, "terminated", terminated)
    flag(name, "truncated", truncated)
    if not isinstance(info, Mapping):
        raise _broken(name, "step", f"returned info = {_said(info)}, not a dictionary", "Return {}")


def check_below(name: str, env: Env, method: str, given: Any, error: BaseException) -> None:
    """Raise Fatal where `error`, of `method` (reset or step), comes of a broken contract.

    `given` is the seed or action that it got. A wrapper that unpacks what it gets raises before anything here sees it.
    So what is below that wrapper is called once more, and what it returns is compared with what it declares: how many
    values alone where wrappers change actions, since no wrapper tells what it passed on.
    """
    layer = _innermost(error)
    raised_itself = layer is not None and not isinstance(layer, gymnasium.Wrapper)
    if raised_itself or not isinstance(error, STUMBLES):
        return
    below = env if layer is None else layer.env
    if isinstance(error, TypeError) and "argument" in str(error):
        _check_arguments(name, below, method)
    if layer is not None:
        try:
            returned = below.reset(seed=given) if method == "reset" else below.step(given)
        except Exception:  # the error that is there already is the one to tell
            return
        five = isinstance(returned, tuple | list) and len(returned) == 5
        if method == "step" and five and _changes_actions(env, below):
            return
        (check_reset if method == "reset" else check_step)(name, below.observation_space, returned)


def _changes_actions(env: Env, below: Env) -> bool:
    """Return True if an action that `env` gets may reach `below` as another."""
    while env is not below and isinstance(env, gymnasium.Wrapper):
        steps = type(env).step is not gymnasium.Wrapper.step
        if isinstance(env, gymnasium.ActionWrapper) or (steps and not type(env).__module__.startswith("gymnasium.")):
            return True
        env = env.env
    return False


def _innermost(error: BaseException) -> Any:
    """Return the last environment or wrapper that had begun to run when `error` came; None where none had."""
    running = (frame.f_locals.get("self") for frame, _ in walk_tb(error.__traceback__))
    return next((each for each in reversed(list(running)) if isinstance(each, gymnasium.Env)), None)


def _check_arguments(name: str, below: Env, method: str) -> None:
    positional, named, words, declaration = TAKES[method]
    try:
        signature = inspect.signature(getattr(below, method))
    except (AttributeError, TypeError, ValueError):  # compiled code does not say
        return
    try:
        signature.bind(*positional, **named)
    except TypeError:
        what = f"must take {words}, but takes {signature.replace(return_annotation=signature.empty)}"
        raise _broken(name, method, what, f"Declare it as {declaration}") from None


def real(name: str, reward: Any) -> float:
    """Return `reward` as a float. Raises Fatal unless it is a real number or an array of one."""
    try:
        # What games count in is not made an array for each step.
        if isinstance(reward, int | np.integer):
            return float(reward)
        number = np.asarray(reward)
        if number.size == 1 and isinstance(number.item(), int | float):
            return float(number.item())
    # An array of a library that cannot be read here, and an int beyond all floats.
    except (TypeError, ValueError, RuntimeError, OverflowError):
        pass
    raise _broken(name, "step", f"returned the reward {_said(reward)}, not a real number", "Return a float")


def flag(name: str, which: str, value: Any) -> bool:
    """Return `value`, which step returned as `which`, as a bool. Raises Fatal unless it is one or an array of one."""
    array = _array(value)
    if array is None or array.size != 1 or array.dtype.kind not in "biu":
        raise _broken(name, "step", f"returned {which} = {_said(value)}, not a boolean", "Return True or False")
    return bool(array.item())


def _check_observation(name: str, method: str, space: spaces.Space[Any], observation: Any) -> None:
    found = mismatch(space, observation)
    if found:
        raise _broken(name, method, f"returned an observation {found}", f"It declares {space}")


def mismatch(space: spaces.Space[Any], value: Any) -> str:
    """Return in words how the shape or type of `value` differs from `space`; empty where it does not."""
    if isinstance(space, spaces.Dict):
        if not isinstance(value, Mapping) or set(value) != set(space.spaces):
            return f"of {_said(value)}, not with the keys {sorted(map(str, space.spaces))}"
        parts = [(f"[{key!r}]", part, value[key]) for key, part in space.spaces.items()]
    elif isinstance(space, spaces.Tuple):
        if not isinstance(value, tuple | list) or len(value) != len(space.spaces):
            return f"of {_said(value)}, not {len(space.spaces)} values"
        parts = [(f"[{number}]", part, value[number]) for number, part in enumerate(space.spaces)]
    elif isinstance(space, spaces.Box):
        array = _array(value)
        same = array is not None and array.shape == space.shape and array.dtype.kind in "fiub"
        return "" if same else f"of {_said(value)}, not numbers of shape {space.shape}"
    else:
        return "" if space.contains(value) else f"of {_said(value)}"
    found = ((where, mismatch(part, inner)) for where, part, inner in parts)
    return next((f"whose part {where} is {what}" for where, what in found if what), "")


def _array(value: Any) -> np.ndarray[Any, Any] | None:
    try:
        return np.asarray(value)
    except (TypeError, ValueError, RuntimeError):
        return None


def _said(value: Any) -> str:
    """Return what `value` is in a few words."""
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape} and type {value.dtype}"
    if isinstance(value, tuple | list):
        return f"{len(value)} values"
    text = repr(value)
    return text if len(text) <= 60 else f"{type(value).__name__} {text[:40]}..."


def _broken(name: str, method: str, what: str, advice: str) -> Fatal:
    return Fatal(f"environment {name}: {method}() {what}. {advice}.")
