"""Environments from ids: any gymnasium id, one's own `module:Id-v0` or `module:Class`, `robosuite/Lift`."""

import importlib
import inspect
from collections.abc import Callable, Mapping
from logging import getLogger
from typing import Any

import gymnasium
from gymnasium.envs.registration import EnvSpec

from surreal.algorithms.environments.environment import Environment
from surreal.algorithms.environments.options import from_file
from surreal.algorithms.environments.process_guard import keeping_signals
from surreal.algorithms.environments.spaces import View
from surreal.protocol.errors import Fatal, InvalidInput, SurrealError, did_you_mean

log = getLogger(__name__)
ROBOSUITE = "robosuite/"
MAY_PASS = (ConnectionError, TimeoutError)
"""Errors of a constructor after which one more try is worth it: a simulator or licence server may be starting."""
EXPLAIN_THEMSELVES = (gymnasium.error.Error, ImportError, TypeError, ValueError)
"""Errors of a constructor that most often are of the id or the options, so that a traceback says no more."""


def check_id(env_id: str) -> None:
    """Raise InvalidInput where `env_id` cannot name an environment here.

    `module:Name` is not looked into: the module may be importable only where the worker runs.
    """
    if ":" in env_id or env_id.startswith(ROBOSUITE) or env_id in gymnasium.registry:
        return
    near = did_you_mean(env_id, gymnasium.registry)
    known = "any gymnasium id, 'module:Id-v0', 'module:Class' or 'robosuite/Task'"
    raise InvalidInput(f"unknown environment {env_id!r}{near}; known: {known}")


def make_env(env: str | Mapping[str, Any], code: str = "", view: View = "features") -> Environment:
    """Return the environment that `env` names: an id, or what `spec.env` of a file says.

    Paths in its options begin at the folder `code`; `view` is how the policy's network sees observations. Raises Fatal,
    which names what is wrong, where it cannot be made or has spaces that no policy here takes.
    """
    settings: Mapping[str, Any] = {"id": env} if isinstance(env, str) else env
    env_id = str(settings["id"])
    try:
        options = from_file(settings.get("options") or {}, code)
        with keeping_signals():
            made = _twice(lambda: _construct(env_id, options))
            return Environment(made, env_id, view, settings.get("action_scaling", "auto"))
    except SurrealError:
        raise
    except (Exception, SystemExit) as error:
        if not isinstance(error, EXPLAIN_THEMSELVES):
            log.error("environment %r cannot be made", env_id, exc_info=error)
        raise Fatal(f"environment {env_id!r} cannot be made: {_said(error)}") from error


def _twice(construct: Callable[[], gymnasium.Env[Any, Any]]) -> gymnasium.Env[Any, Any]:
    try:
        return construct()
    except MAY_PASS as error:
        log.warning("%s; trying once more", _said(error))
        return construct()


def _construct(env_id: str, options: dict[str, Any]) -> gymnasium.Env[Any, Any]:
    if env_id.startswith(ROBOSUITE):
        from surreal.algorithms.environments.make import make_robosuite

        return make_robosuite(env_id.removeprefix(ROBOSUITE), options)
    module, colon, name = env_id.partition(":")
    what: str | EnvSpec = env_id
    if colon:
        what = _own(module, name) or env_id
    return gymnasium.make(what, disable_env_checker=True, **options)


def _own(module: str, name: str) -> EnvSpec | None:
    """Return the class or function `name` of `module` as gymnasium takes it; None where `name` is a registered id.

    Raises Fatal that lists what the module has where it is neither.
    """
    loaded, registered = importlib.import_module(module), set(gymnasium.registry)
    found = getattr(loaded, name, None) if name.isidentifier() else None
    if callable(found) and name not in registered:
        return EnvSpec(f"{module}:{name}", entry_point=found)
    if name in registered or not name.isidentifier():
        return None
    classes = [key for key, value in vars(loaded).items() if _is_environment(value)]
    known = ", ".join(sorted(classes)) or "no environment"
    raise Fatal(
        f"env.id: {module}:{name} names nothing in {loaded.__file__}{did_you_mean(name, classes)}; it has: {known}"
    )


def _is_environment(value: Any) -> bool:
    return inspect.isclass(value) and issubclass(value, gymnasium.Env) and value is not gymnasium.Env


def _said(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"its constructor ended the process: exit({error.code!r})"
    text = " ".join(str(error).split())
    return text if text and isinstance(error, EXPLAIN_THEMSELVES) else f"{type(error).__name__}: {text}".rstrip(": ")


def make_robosuite(task: str, options: dict[str, Any]) -> gymnasium.Env[Any, Any]:
    """Return the robosuite task `task` (Lift, Stack, ...), observed by its flat state, without a renderer.

    `options` go to `robosuite.make`; robots defaults to Panda. Raises Fatal where the extra is not installed.
    """
    try:
        import robosuite
        from robosuite.wrappers import GymWrapper
    except ImportError as error:
        raise Fatal(f"robosuite/{task} needs pip install 'surreal[robosuite]': {error}") from error
    settings = {
        "robots": "Panda",
        "has_renderer": False,
        "has_offscreen_renderer": False,
        "use_camera_obs": False,
        "reward_shaping": True,
        **options,
    }
    return TruncatesAtHorizon(GymWrapper(robosuite.make(task, **settings)))


class TruncatesAtHorizon(gymnasium.Wrapper[Any, Any, Any, Any]):
    """robosuite reports its horizon as termination; a time limit is a truncation."""

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step as gymnasium does, with the horizon reported as truncated."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        inner: Any = self.env.unwrapped
        at_horizon = bool(terminated) and inner.timestep >= inner.horizon
        return observation, reward, bool(terminated) and not at_horizon, bool(truncated) or at_horizon, info
