"""Goal of a run: a return at which it ends before its last step."""

import math
from collections.abc import Mapping
from typing import Any, TypeGuard

GOAL_REACHED = "its return reached stop_at_return"
"""Words of the reason of a run that a goal ended before its last step."""


def goal_reached(config: Mapping[str, Any], progress: Mapping[str, Any]) -> str:
    """Return why a run with `config` succeeded before its last step: a clause; empty where it reached no goal.

    `progress` has `steps` and `episode_return`, as far as they are known.
    """
    goal, total = config.get("stop_at_return"), config.get("total_steps")
    steps, mean = progress.get("steps"), progress.get("episode_return")
    # an algorithm of one's own may mean something else by these keys
    if not is_number(goal) or not isinstance(total, int) or (steps or 0) >= total:
        return ""
    # of a run in a cluster, figures of an attempt before may be all there is
    return f"{GOAL_REACHED}, {goal:.15g}" if is_number(mean) and mean >= goal else ""


def is_number(value: Any) -> TypeGuard[float]:
    """Return True for a finite number: JSON has no word for others."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
