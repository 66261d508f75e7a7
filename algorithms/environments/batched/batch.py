"""The choice of how the copies of an environment are stepped, and stepping them together where that is exact."""

from collections.abc import Sequence
from logging import getLogger
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from gymnasium.wrappers import OrderEnforcing, TimeLimit

from surreal.algorithms.devices import told
from surreal.algorithms.environments.environment import Environment
from surreal.algorithms.types import Array, Bool, Int
from surreal.protocol.errors import Fatal
from surreal.protocol.transport.stats import moved

if TYPE_CHECKING:
    from surreal.algorithms.environments.batched.task import Task

log = getLogger(__name__)
Stepping = Literal["auto", "gymnasium", "batched"]
TRIAL_STEPS = 24
"""Steps that are taken both ways before the first episode: what differs in one bit is left to gymnasium."""
STEPPED_BY = ("step", "do_simulation", "_step_mujoco_simulation", "_get_obs", "_get_rew", "reset_model")
"""Methods of a task that would have to be its own for it to be another task."""


class Batch:
    """All copies of one of gymnasium's MuJoCo tasks. Resets stay gymnasium's."""

    def __init__(self, envs: Sequence[Any], task: type[Any]) -> None:
        """Take over `envs`, gymnasium environments with at most a time limit around the task."""
        self._task = task([env.unwrapped for env in envs])
        self._elapsed = np.zeros(len(envs), np.int64)
        self._limit = _limit_of(envs[0])

    def begun(self, copies: Int | int | slice) -> None:
        """Note that those copies were reset."""
        self._elapsed[copies] = 0

    def step(self, actions: Array, copies: Int, rows: Array) -> tuple[Array, Bool, Bool]:
        """Step `copies` by their rows of `actions`, write their observations into their `rows`.

        Returns rewards, terminated and truncated [all copies]; the rows of those that were not stepped mean nothing.
        """
        moved()
        task = self._task
        task.step(actions, copies)
        task.observe(rows)
        ended = task.ended()
        self._elapsed[copies] += 1
        cut = self._elapsed >= self._limit
        return task.rewards(actions), np.zeros_like(cut) if ended is None else ended, cut


def batch_of(envs: Sequence[Environment], stepping: Stepping = "auto") -> Batch | None:
    """Return how `envs` are stepped together, None where gymnasium steps each.

    `auto` steps together what is exact, and logs a line where a task of gymnasium's is not. Raises Fatal where
    `batched` is asked for and impossible.
    """
    if stepping == "gymnasium":
        return None
    reason = _other_than_known(envs[0])
    known = not reason
    try:
        found = None if reason else _tried([env.gymnasium for env in envs])
    except Exception as error:
        found, reason = None, f"stepping it that way failed: {type(error).__name__}: {error}"
    if found is None and (known or stepping == "batched"):
        reason = reason or f"{TRIAL_STEPS} trial steps differ from gymnasium's"
        if stepping == "batched":
            raise Fatal(f"env.stepping: 'batched' cannot step {envs[0].name!r}: {reason}. Use auto.")
        log.warning("%s is stepped by gymnasium, one copy after another: %s", envs[0].name, reason)
    return found


def _other_than_known(env: Environment) -> str:
    """Return why `env` is none of the tasks that can be stepped together; empty where it is one."""
    raw: Any = env.gymnasium
    inner = raw.unwrapped
    kind = type(inner)
    if not kind.__module__.startswith("gymnasium.envs.mujoco.") or not kind.__module__.endswith("_v5"):
        return f"{kind.__module__}.{kind.__qualname__} is none of gymnasium's MuJoCo v5 tasks"
    while raw is not inner:
        if type(raw) not in (TimeLimit, OrderEnforcing):
            return f"the wrapper {type(raw).__qualname__} lies in between"
        raw = raw.env
    if inner.render_mode is not None:
        return f"its render mode is {inner.render_mode!r}"
    if any(name in vars(inner) for name in STEPPED_BY):
        return "a method of it was replaced"
    return "" if env.plain else "its observation is rearranged"


def task_of(name: str) -> type["Task"]:
    """Return the task of that name, like HalfCheetah. Raises StopIteration where there is none."""
    # The compiler is slow to import, and other environments need none.
    from surreal.algorithms.environments.batched import arms, humanoids, locomotion

    found: type[Task] = next(getattr(module, name) for module in (locomotion, humanoids, arms) if hasattr(module, name))
    return found


def _tried(envs: Sequence[Any]) -> Batch | None:
    """Return the batch of `envs` if it takes the same steps as gymnasium, else None."""
    task = task_of(type(envs[0].unwrapped).__name__.removesuffix("Env"))
    with told("the steps of the simulation"):
        same = _trial(envs[0], None) == _trial(envs[0], Batch(envs[:1], task))
    return Batch(envs, task) if same else None


def _trial(env: Any, batch: Batch | None) -> list[bytes]:
    """Return what some steps from a seed give, as bytes."""
    random, rows, seen = np.random.default_rng(0), np.empty((1, *env.observation_space.shape)), []
    space = env.action_space
    env.reset(seed=0)
    for _ in range(TRIAL_STEPS):
        actions = random.uniform(space.low, space.high, (1, *space.shape)).astype(space.dtype)
        if batch is None:
            rows[0], reward, ended, _, _ = env.step(actions[0])
        else:
            (reward,), (ended,), _ = batch.step(actions, np.arange(1), rows)
        seen.append(rows.tobytes() + np.float64(reward).tobytes() + bytes([bool(ended)]))
        if ended:
            env.reset()
    return seen


def _limit_of(env: Any) -> float:
    """Return the steps after which `env` cuts an episode, infinity where it does not."""
    limits = [np.inf]
    while env is not env.unwrapped:
        if isinstance(env, TimeLimit):
            limits.append(env._max_episode_steps)
        env = env.env
    return float(min(limits))
