"""Tasks of a table: groups of them, and the environment that each stands for, the same for every contestant."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import gymnasium

SLOWEST = ("HumanoidStandup-v5", "Humanoid-v5", "Ant-v5")
"""Tasks whose steps take longest: they start first, so that no long run is left alone at the end."""


@dataclass(frozen=True)
class Group:
    """Tasks that scores are averaged over, and what an environment of any of them needs."""

    tasks: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of the environment."""
    time_limit: int | None = None
    """Steps after which an episode is cut, where the environment has no limit of its own."""
    network: Mapping[str, Any] = field(default_factory=dict)
    """Network of policies that see images, of algorithms that have a choice."""
    package: str = ""
    """Distribution that the environments are of, if it is no other's."""
    peers: str = "sb3"
    """Environment of the other libraries that has these tasks, below the folder of peers."""


GROUPS = {
    "mujoco": Group(
        (
            *SLOWEST,
            *("HalfCheetah-v5", "Walker2d-v5", "Hopper-v5", "Swimmer-v5", "Pusher-v5", "Reacher-v5"),
            *("InvertedDoublePendulum-v5", "InvertedPendulum-v5"),
        )
    ),
    "classic": Group(("CartPole-v1", "Acrobot-v1", "Pendulum-v1", "MountainCarContinuous-v0")),
    "minatar": Group(
        tuple(f"MinAtar/{game}-v1" for game in ("Seaquest", "SpaceInvaders", "Asterix", "Breakout", "Freeway")),
        time_limit=5000,
        network={"encoder": "small-cnn", "activation": "relu"},
        package="minatar",
    ),
    "robosuite": Group(
        tuple(f"robosuite/{name}" for name in ("NutAssemblySquare", "Stack", "Door", "Lift")),
        options={"horizon": 200, "control_freq": 20},
        package="robosuite",
        peers="rs",
    ),
}
OTHER = "other"
"""Name of the group of tasks that are in none."""


def group_name(task: str) -> str:
    """Return the name of the group that `task` is of."""
    return next((name for name, group in GROUPS.items() if task in group.tasks), OTHER)


def group_of(task: str) -> Group:
    """Return the group that `task` is of; an empty one for a task of none."""
    return GROUPS.get(group_name(task), Group())


def env_of(task: str) -> dict[str, Any]:
    """Return `spec.env` of an experiment on `task`, without the number of copies."""
    group = group_of(task)
    env: dict[str, Any] = {"id": task}
    if group.options:
        env["options"] = dict(group.options)
    if group.time_limit:
        env["wrappers"] = [{"time_limit": group.time_limit}]
    return env


def check_task(task: str) -> None:
    """Raise ValueError where gymnasium has no `task`; those of packages that peers alone may have are not checked."""
    try:
        if not group_of(task).package:
            gymnasium.spec(task)
    except (gymnasium.error.Error, ImportError) as error:
        raise ValueError(f"--tasks: {error}") from None


def tasks_of(words: Iterable[str]) -> list[str]:
    """Return the tasks that `words` name: ids, or names of GROUPS. Each once, in order."""
    named = [task for word in words for task in (GROUPS[word].tasks if word in GROUPS else (word,))]
    return list(dict.fromkeys(named))
