"""Wrappers of `env.wrappers` in the experiment file, by name: gymnasium's own where it has one.

An entry is a name, a name with arguments (`resize: [84, 84]`, `sticky: {probability: 0.25}`), a preset, or a class of
one's own, `module:Wrapper`. They are applied in order, the first one next to the environment.
"""

import importlib
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from logging import getLogger
from typing import Annotated, Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium import wrappers as theirs
from pydantic import Field, TypeAdapter, ValidationError

from surreal.algorithms.environments.atari import PRESETS, EpisodicLife, FireReset, one_thread, screen
from surreal.algorithms.environments.contract import mismatch
from surreal.algorithms.environments.spaces import parts
from surreal.algorithms.own_code import is_own
from surreal.protocol.errors import Fatal, InvalidInput, did_you_mean

log = getLogger(__name__)
Env = gymnasium.Env[Any, Any]
Entry = str | Mapping[str, Any]
Steps = Annotated[int, Field(ge=1, le=10**9)]
Frames = Annotated[int, Field(ge=2, le=64)]
Pixels = Annotated[int, Field(ge=1, le=4096)]
Probability = Annotated[float, Field(ge=0, lt=1)]


def _grey(env: Env) -> Env:
    return theirs.GrayscaleObservation(env)


def _resize(env: Env, height: Pixels, width: Pixels) -> Env:
    one_thread()
    return theirs.ResizeObservation(env, (height, width))


def _stack(env: Env, frames: Frames = 4) -> Env:
    return theirs.FrameStackObservation(_chosen_one_hot(env), frames)


def _chosen_one_hot(env: Env) -> Env:
    """Return `env` with its choices as flags: gymnasium would stack the numbers of a Discrete to a single row."""
    space = env.observation_space
    if not any(isinstance(part, CHOICES) for _, part in parts(space)):
        return env

    def one_hot(observation: Any) -> Any:
        if found := mismatch(space, observation):
            raise Fatal(f"env.wrappers: stack gets an observation {found}. Return one of {space}.")
        return _one_hot(space, observation)

    return theirs.TransformObservation(env, one_hot, _flags(space))


def _flags(space: spaces.Space[Any]) -> spaces.Space[Any]:
    if isinstance(space, spaces.Dict):
        return spaces.Dict([(key, _flags(part)) for key, part in space.spaces.items()])
    if isinstance(space, spaces.Tuple):
        return spaces.Tuple([_flags(part) for part in space.spaces])
    # Two dimensions of bytes are an image, and of booleans are not.
    return spaces.Box(0, 1, (int(spaces.flatdim(space)),), np.bool_) if isinstance(space, CHOICES) else space


def _one_hot(space: spaces.Space[Any], value: Any) -> Any:
    if isinstance(space, spaces.Dict):
        return {key: _one_hot(part, value[key]) for key, part in space.spaces.items()}
    if isinstance(space, spaces.Tuple):
        return tuple(_one_hot(part, value[index]) for index, part in enumerate(space.spaces))
    return np.asarray(spaces.flatten(space, value), np.bool_) if isinstance(space, CHOICES) else value


def _skip(env: Env, steps: Frames = 4, max: bool = False) -> Env:
    return theirs.MaxAndSkipObservation(env, steps) if max else Repeat(env, steps)


def _sticky(env: Env, probability: Probability = 0.25) -> Env:
    return theirs.StickyAction(env, probability)


def _episodic_life(env: Env) -> Env:
    return EpisodicLife(env)


def _fire_reset(env: Env) -> Env:
    return FireReset(env)


def _clip_reward(env: Env, low: float | None = None, high: float | None = None) -> Env:
    if low is None and high is None:
        return theirs.TransformReward(env, lambda reward: float(np.sign(float(reward))))
    return theirs.ClipReward(env, low, high)


def _time_limit(env: Env, steps: Steps) -> Env:
    return theirs.TimeLimit(env, steps)


def _time_feature(env: Env) -> Env:
    return theirs.TimeAwareObservation(env, flatten=True, normalize_time=True)


class Repeat(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Takes each action several times and adds up the rewards, as the paper of DQN does but for its maximum."""

    def __init__(self, env: Env, steps: int) -> None:
        super().__init__(env)
        self._steps = steps

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step until the action was taken often enough or the episode ended; the last observation counts."""
        total = 0.0
        for _ in range(self._steps):
            observation, reward, terminated, truncated, info = self.env.step(action)
            total += float(reward)
            if terminated or truncated:
                break
        return observation, total, terminated, truncated, info


WRAPPERS: dict[str, Callable[..., Env]] = {
    "grey": _grey,
    "resize": _resize,
    "stack": _stack,
    "skip": _skip,
    "sticky": _sticky,
    "episodic_life": _episodic_life,
    "fire_reset": _fire_reset,
    "clip_reward": _clip_reward,
    "time_limit": _time_limit,
    "time_feature": _time_feature,
    "atari_screen": screen,
}
EXPLAIN_THEMSELVES = (gymnasium.error.Error, ImportError, TypeError, ValueError)
"""Errors of a constructor that most often are of the id or the options, so that a traceback says no more."""
TRAINING_ONLY = ("clip_reward", "episodic_life")
"""Wrappers that change what a return means: an evaluation goes without them."""
CHOICES = (spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)
"""Spaces whose values become one-hot flags."""
KEEP_OBSERVATIONS = ("sticky", "clip_reward", "time_limit")
"""Wrappers above a stack of frames that leave it one."""


def parse(entry: Any) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
    """Return name, positional and keyword arguments of an entry. Raises InvalidInput for another form."""
    if isinstance(entry, str):
        return entry, (), {}
    if not isinstance(entry, Mapping) or len(entry) != 1 or not all(isinstance(name, str) for name in entry):
        raise InvalidInput(f"{entry!r}: is no wrapper. Write a name, or one name with its arguments: {{stack: 4}}.")
    ((name, given),) = entry.items()
    if isinstance(given, Mapping):
        return name, (), dict(given)
    several = isinstance(given, list | tuple)
    return name, tuple(given) if several else () if given is None else (given,), {}


def expand(entries: Sequence[Entry]) -> list[Entry]:
    """Return `entries` with each preset replaced by what it stands for."""
    expanded: list[Entry] = []
    for entry in entries:
        preset = PRESETS.get(entry) if isinstance(entry, str) else None
        expanded += [entry] if preset is None else preset.wrappers
    return expanded


def problems(entries: Sequence[Any]) -> Iterator[tuple[int, str]]:
    """Yield (number, sentence) of each entry that cannot be applied, as far as that is seen without an environment."""
    for number, entry in enumerate(entries):
        try:
            name, positional, named = parse(entry)
            if not is_own(name):
                _check(name, positional, named)
        except InvalidInput as error:
            yield number, str(error)


def _check(name: str, positional: tuple[Any, ...], named: dict[str, Any]) -> None:
    """Raise InvalidInput for an unknown name, or arguments that the wrapper does not take."""
    if name in PRESETS:
        if positional or named:
            raise InvalidInput(f"{name!r}: is a preset and takes no arguments. Remove them, or list its wrappers.")
        return
    if name not in WRAPPERS:
        known = [*WRAPPERS, *PRESETS]
        raise InvalidInput(
            f"no wrapper {name!r}{did_you_mean(name, known)}. There are: {', '.join(known)}, and 'module:Wrapper'."
        )
    signature = inspect.signature(WRAPPERS[name])
    takes = [f"{p.name}" for p in list(signature.parameters.values())[1:]]
    said = f"it takes {', '.join(takes)}." if takes else "it takes none."
    try:
        bound = signature.bind(None, *positional, **named)
    except TypeError as error:
        raise InvalidInput(f"{name!r}: {error}. Correct its arguments: {said}") from None
    for key, value in list(bound.arguments.items())[1:]:
        try:
            TypeAdapter(signature.parameters[key].annotation).validate_python(value, strict=True)
        except ValidationError as error:
            text = error.errors()[0]["msg"]
            raise InvalidInput(f"{name!r} has {key}: {value!r}, which is wrong: {text}. Correct it.") from None


def said(entries: Sequence[Entry]) -> str:
    """Return expanded `entries` in words: `atari_screen, stack 4`."""
    return ", ".join(
        " ".join([name, *map(str, given), *(f"{k}={v}" for k, v in named.items())])
        for name, given, named in map(parse, entries)
    )


def for_evaluation(entries: Sequence[Entry]) -> list[Entry]:
    """Return the expanded `entries` that an evaluation keeps."""
    return [entry for entry in expand(entries) if parse(entry)[0] not in TRAINING_ONLY]


def reward_in_training(entries: Sequence[Entry]) -> Callable[[float], float]:
    """Return the map from the environment's own rewards to those that training has, which a policy may take in."""
    bounds = []
    for name, given, named in map(parse, expand(entries)):
        if name == "clip_reward":
            bound = inspect.signature(_clip_reward).bind(None, *given, **named)
            bound.apply_defaults()
            bounds.append(bound.args[1:])

    def seen(reward: float) -> float:
        for low, high in bounds:
            reward = float(np.sign(reward) if low is None and high is None else np.clip(reward, low, high))
        return reward

    return seen


def wrap(env: Env, entries: Sequence[Entry]) -> tuple[Env, int]:
    """Return `env` in all its wrappers, and the number of frames that its observations are a stack of, 1 for none.

    Raises Fatal, which names the entry, where one does not fit what is below it.
    """
    stack = 1
    for entry in expand(entries):
        name, positional, named = parse(entry)
        below = env.observation_space
        try:
            env = (_own(name) if is_own(name) else WRAPPERS[name])(env, *positional, **named)
        except (Fatal, KeyboardInterrupt):
            raise
        except BaseException as error:
            if is_own(name) and not isinstance(error, EXPLAIN_THEMSELVES):
                log.error("wrapper %r cannot be made", name, exc_info=error)
            text = in_words(error, (*EXPLAIN_THEMSELVES, AssertionError)).rstrip(".")
            remedy = "Correct it, " if is_own(name) else "Remove it, "
            raise Fatal(
                f"env.wrappers: {entry!r} does not fit what it wraps, which observes {below}: {text}. "
                f"{remedy}or put before it what makes it fit."
            ) from error
        if name == "stack":
            stack = env.observation_space.shape[0] if env.observation_space.shape else _frames(positional, named)
        elif name not in KEEP_OBSERVATIONS:
            stack = 1
    return env, stack


def in_words(error: BaseException, plain: tuple[type[Exception], ...] = EXPLAIN_THEMSELVES) -> str:
    """Return what a constructor raised: its kind too, unless it is one of `plain` and has a text."""
    if isinstance(error, SystemExit):
        return f"its constructor ended the process: exit({error.code!r})"
    text = " ".join(str(error).split())
    return text if text and isinstance(error, plain) else f"{type(error).__name__}: {text}".rstrip(": ")


def own_wrappers(entries: Sequence[Entry]) -> list[str]:
    """Return the names of the wrappers that are one's own."""
    return [name for name, _, _ in map(parse, entries) if is_own(name)]


def _frames(positional: tuple[Any, ...], named: dict[str, Any]) -> int:
    return int(inspect.signature(_stack).bind(None, *positional, **named).arguments.get("frames", 4))


def _own(name: str) -> Callable[..., Env]:
    """Return a wrapper of one's own. Raises Fatal where the module has none of that name."""
    module, _, attribute = name.partition(":")
    loaded = importlib.import_module(module)
    found = getattr(loaded, attribute, None)
    if not callable(found):
        near = did_you_mean(attribute, [key for key, value in vars(loaded).items() if inspect.isclass(value)])
        raise Fatal(f"env.wrappers: {name!r} names nothing in {loaded.__file__}{near}. Define it there.")
    made: Callable[..., Env] = found
    return made
