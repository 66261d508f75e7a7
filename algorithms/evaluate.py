"""Evaluation of a policy from Python: whole episodes of one environment."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces

from surreal.algorithms.environments.environment import Environment
from surreal.algorithms.environments.make import make_env
from surreal.algorithms.environments.spaces import Spaces
from surreal.algorithms.evaluation import EPISODE_CAP, play
from surreal.protocol.errors import InvalidInput

Act = Callable[..., Any]
"""Observations [1, ...] -> actions of the environment [1, ...]."""


@dataclass(frozen=True)
class Evaluation:
    """Returns of whole episodes."""

    returns: tuple[float, ...]
    """Sum of the rewards of each episode."""
    lengths: tuple[int, ...]
    """Steps of each episode."""

    @property
    def mean(self) -> float:
        """Mean return."""
        return float(np.mean(self.returns))

    @property
    def std(self) -> float:
        """Standard deviation of the returns, of the population."""
        return float(np.std(self.returns))

    def __str__(self) -> str:
        return f"{self.mean:.1f} ± {self.std:.1f} over {len(self.returns)} episodes"


def evaluate(
    policy: Act,
    env: str | Mapping[str, Any],
    *,
    episodes: int = 10,
    seed: int = 1,
    options: Mapping[str, Any] | None = None,
    code: Path | str = "",
) -> Evaluation:
    """Run `episodes` whole episodes and return their returns; episode i starts from `seed` + i.

    `policy` maps observations [n, ...] to actions [n, ...] of the environment: `run.policy("best")`, which also gets
    the masks of an environment that has some, or any function of features [n, observation] as gymnasium flattens them.
    `env` is an id, or the mapping `spec.env` of a file with its wrappers, such as `policy.about["env"]`; its key
    `evaluation` counts, and rewards and lives are the environment's own, as in a run's evaluations. Paths in its
    options begin at the folder `code`. Numbers outside a bounded action space are clipped. An episode ends at the
    latest after the environment's own limit, or after 10,000 steps if it has none. Raises Fatal for an environment that
    cannot be made, and InvalidInput for actions that are not in its space.
    """
    if not isinstance(episodes, int) or episodes < 1:
        raise InvalidInput(f"episodes: {episodes!r} is no number of episodes. Give 1 or more.")
    made = made_for(policy, env, options or {}, code)
    try:
        played = [episode(made, policy, seed + number) for number in range(episodes)]
    finally:
        made.close()
    return Evaluation(tuple(total for total, _ in played), tuple(steps for _, steps in played))


def made_for(policy: Act, env: str | Mapping[str, Any], options: Mapping[str, Any], code: Path | str) -> Environment:
    """Return an environment as `policy` sees it, with further options over those of `env`. Raises Fatal."""
    if not callable(policy):
        raise InvalidInput(f"policy: {policy!r} is no function of observations. Give run.policy() or a function.")
    if not isinstance(env, (str, Mapping)):
        raise InvalidInput(f"env: {env!r} is no environment. Give an id, or a mapping with one.")
    settings: dict[str, Any] = {"id": env} if isinstance(env, str) else dict(env)
    settings["options"] = {**(settings.get("options") or {}), **options}
    trained: Spaces | None = getattr(policy, "spaces", None)
    if trained is not None:
        settings.setdefault("action_scaling", trained.scaling)
    return make_env(settings, str(code), trained.view if trained else "features", evaluating=True)


def episode(env: Environment, policy: Act, seed: int, look: Callable[[], object] | None = None) -> tuple[float, int]:
    """Return the sum of rewards and the number of steps of one episode; call `look` before every step."""
    act, rewarded = _carrying(policy, env) if hasattr(policy, "spaces") else (policy, None)

    def choose(rows: Any) -> Any:
        if look:
            look()
        return _action(act(rows), env.spaces.action_space)

    played = play(env, choose, seed, env.time_limit or EPISODE_CAP, rewarded=rewarded)
    assert played is not None  # nothing stops it
    return played


def _carrying(policy: Any, env: Environment) -> tuple[Act, Callable[[float], None]]:
    """Return a loaded policy with the memory of one episode and the masks of `env`, and what takes in its rewards."""
    state, last = policy.initial_state(1), [0.0]

    def act(rows: Any) -> Any:
        nonlocal state
        masks = None if env.mask is None else env.mask[None]
        actions, state = policy.step(rows, state, masks=masks, rewards=last)
        return actions

    def rewarded(reward: float) -> None:
        last[0] = reward

    return act, rewarded


def _action(actions: Any, space: Any) -> Any:
    """Return the one action; raise InvalidInput if it is not one of `space`."""
    found = np.asarray(actions)
    if space.shape is not None and found.shape != (1, *space.shape):
        raise InvalidInput(f"policy: actions of shape {list(found.shape)} do not fit. Return [1, ...] of {space}.")
    if isinstance(space, spaces.Box) and found.dtype.kind in "biuf" and np.isfinite(found).all():
        return np.clip(found[0], space.low, space.high).astype(space.dtype)
    if not space.contains(found[0]):
        raise InvalidInput(f"policy: action {found[0].tolist()!r} is not one of {space}. Return [1, ...] of it.")
    return found[0]
