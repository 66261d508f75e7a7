"""Suites of environments in packages of their own: Atari, MinAtar, robosuite, the DeepMind control suite.

An id that begins with a suite's prefix is the suite's, whether its package is installed here or not: a plan is made on
machines that run nothing. So gymnasium, which is slow to import, is imported where one is made.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from surreal.protocol.errors import Fatal, InvalidInput, did_you_mean

if TYPE_CHECKING:
    import gymnasium

    Env = gymnasium.Env[Any, Any]


@dataclass(frozen=True)
class Suite:
    """A family of environments by prefix of their ids."""

    prefix: str
    extra: str
    """Name in `pip install 'surreal[EXTRA]'`."""
    make: "Callable[[str, dict[str, Any]], Env]"
    """Function of (id, options)."""


def _atari(env_id: str, options: dict[str, Any]) -> "Env":
    import ale_py
    import gymnasium

    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)  # it greets on stderr at every start
    gymnasium.register_envs(ale_py)
    return gymnasium.make(env_id, disable_env_checker=True, **options)


def _minatar(env_id: str, options: dict[str, Any]) -> "Env":
    import gymnasium
    import minatar.gym

    from surreal.algorithms.environments.suite_wrappers import ForgetsAction

    if env_id not in gymnasium.registry:
        minatar.gym.register_envs()
    return ForgetsAction(gymnasium.make(env_id, disable_env_checker=True, **options))


def _robosuite(env_id: str, options: dict[str, Any]) -> "Env":
    import robosuite
    from robosuite.wrappers import GymWrapper

    from surreal.algorithms.environments.suite_wrappers import SeedsGenerator, TruncatesAtHorizon, Upright

    cameras = bool(options.get("use_camera_obs"))
    settings = {
        "robots": "Panda",
        "has_renderer": False,
        "has_offscreen_renderer": cameras,
        "use_camera_obs": cameras,
        "reward_shaping": True,
        **options,
    }
    made = SeedsGenerator(GymWrapper(robosuite.make(env_id.partition("/")[2], **settings), flatten_obs=not cameras))
    return TruncatesAtHorizon(Upright(made) if cameras else made)


def _dm_control(env_id: str, options: dict[str, Any]) -> "Env":
    import gymnasium
    import shimmy

    gymnasium.register_envs(shimmy)
    return gymnasium.make(env_id, disable_env_checker=True, **options)


ATARI = Suite("ALE/", "atari", _atari)
SUITES = (
    ATARI,
    Suite("MinAtar/", "minatar", _minatar),
    Suite("robosuite/", "robosuite", _robosuite),
    Suite("dm_control/", "dm_control", _dm_control),
)


def suite_of(env_id: str) -> Suite | None:
    """Return the suite that an id belongs to; None for an id of gymnasium or one's own."""
    return next((suite for suite in SUITES if env_id.startswith(suite.prefix)), None)


def make_of(suite: Suite, env_id: str, options: dict[str, Any]) -> "Env":
    """Return an environment of a suite. Raises Fatal where its extra is not installed."""
    try:
        return suite.make(env_id, options)
    except ImportError as error:
        raise Fatal(f"env.id: {env_id!r} needs an extra: {error}. Run pip install 'surreal[{suite.extra}]'.") from error


def is_listed(env_id: str) -> bool:
    """Return True for an id that gymnasium registers itself; ids that packages or modules add are not looked for."""
    return f'id="{env_id}"' in _registrations()


@cache
def _registrations() -> str:
    """Return the source of gymnasium's list: to read it takes a hundredth of the time of its import."""
    found = find_spec("gymnasium")
    path = Path(found.origin).parent / "envs" / "__init__.py" if found and found.origin else None
    return path.read_text() if path and path.is_file() else ""


def check_id(env_id: str) -> None:
    """Raise InvalidInput where `env_id` cannot name an environment here.

    `module:Name` is not looked into: the module may be importable only where the worker runs. Nor is a suite's.
    """
    if ":" in env_id or suite_of(env_id) or is_listed(env_id):
        return
    import gymnasium

    if env_id in gymnasium.registry:
        return
    near = did_you_mean(env_id, gymnasium.registry)
    known = f"any gymnasium id, 'module:Id-v0', 'module:Class', {', '.join(f'{s.prefix}NAME' for s in SUITES)}"
    raise InvalidInput(f"no environment {env_id!r}{near}. There are: {known}.")
