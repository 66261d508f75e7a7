"""Returns of a policy that acts at random: the zero of normalised scores."""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter, ValidationError

from learning.rows import put
from learning.tasks import env_of
from surreal.algorithms.environments.make import make_env

EPISODES = 20
FLOORS = TypeAdapter(dict[str, float])


def floors(tasks: Iterable[str], cache: Path) -> dict[str, float]:
    """Return the mean return of EPISODES random episodes of each task. `cache` is a file that keeps them.

    Raise Fatal for a task that is not in it, and that this interpreter lacks; ValueError where it holds something else.
    """
    try:
        known = FLOORS.validate_json(cache.read_bytes()) if cache.exists() else {}
    except ValidationError:
        raise ValueError(f"{cache}: not the returns of random policies. Delete it to have them made anew.") from None
    missing = [task for task in tasks if task not in known]
    known |= {task: random_return(task) for task in missing}
    if missing:
        cache.parent.mkdir(parents=True, exist_ok=True)
        put(cache, json.dumps(known, indent=1, sort_keys=True) + "\n")
    return known


def random_return(task: str) -> float:
    """Return the mean return of EPISODES episodes of uniformly random actions, the same ones every time."""
    env, totals = make_env(env_of(task), view="auto", evaluating=True).gymnasium, []
    env.action_space.seed(0)
    for episode in range(EPISODES):
        env.reset(seed=episode)
        total, over = 0.0, False
        while not over:
            _, reward, terminated, truncated, _ = env.step(env.action_space.sample())
            total, over = total + float(reward), terminated or truncated
        totals.append(total)
    env.close()
    return float(np.mean(totals))
