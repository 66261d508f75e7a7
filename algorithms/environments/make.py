"""Environments from ids: any gymnasium id, one's own `module:Id-v0` or `module:Class`, and those of suites."""

import importlib
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from logging import getLogger
from typing import Any

import gymnasium
from gymnasium.envs.registration import EnvSpec

from surreal.algorithms.environments.atari import MADE_BY, PRESETS
from surreal.algorithms.environments.environment import Environment
from surreal.algorithms.environments.options import from_file
from surreal.algorithms.environments.process_guard import hear_mujoco, keeping_signals
from surreal.algorithms.environments.spaces import View, declared
from surreal.algorithms.environments.suites import ATARI, check_id, make_of, suite_of
from surreal.algorithms.environments.wrappers import (
    EXPLAIN_THEMSELVES,
    for_evaluation,
    in_words,
    own_wrappers,
    problems,
    reward_in_training,
    wrap,
)
from surreal.algorithms.own_code import in_main
from surreal.protocol.errors import Fatal, SurrealError, did_you_mean
from surreal.protocol.transport.stats import moved

log = getLogger(__name__)
MAY_PASS = (ConnectionError, TimeoutError)
"""Errors of a constructor after which one more try is worth it: a simulator or licence server may be starting."""


def check_wrappers(env_id: str, entries: Sequence[Any]) -> Iterator[tuple[int, str]]:
    """Yield (number, sentence) of each wrapper that cannot be applied, and of a preset for other environments."""
    yield from problems(entries)
    spec = gymnasium.registry.get(env_id)
    game = suite_of(env_id) is ATARI or ":" in env_id or (spec and str(spec.entry_point).startswith(MADE_BY))
    for number, entry in enumerate(entries):
        if isinstance(entry, str) and entry in PRESETS and not game:
            yield number, f"{entry!r} is for Atari games, which {env_id!r} is not. Remove it, or name ALE/Pong-v5."


def make_env(
    env: str | Mapping[str, Any],
    code: str = "",
    view: View = "features",
    evaluating: bool = False,
    around: Callable[[Any], Any] | None = None,
) -> Environment:
    """Return the environment that `env` names: an id, or what `spec.env` of a file says.

    Paths in its options begin at the folder `code`; `view` is how the policy's network sees observations. Where it is
    `evaluating`, `env.evaluation` counts, and rewards and lives are the environment's own. `around` is applied over all
    wrappers. Raises Fatal, which names what is wrong, where it cannot be made or has spaces that no policy takes,
    InvalidInput for an id that names none.
    """
    moved()
    settings: Mapping[str, Any] = {"id": env} if isinstance(env, str) else env
    env_id, wrappers, options = str(settings["id"]), settings.get("wrappers") or [], settings.get("options") or {}
    presets = _of_presets(wrappers)
    in_training = reward_in_training(wrappers if evaluating else [])
    if evaluating:
        other = settings.get("evaluation") or {}
        options = {**options, **(other.get("options") or {})}
        if other.get("wrappers") is None:
            wrappers = for_evaluation(wrappers)
        else:
            wrappers, presets = other["wrappers"], _of_presets(other["wrappers"])
    try:
        if ":" in env_id:
            # The module may write the very files that the options name.
            importlib.import_module(env_id.partition(":")[0])
        options = from_file(options, code)
        with keeping_signals():
            made, stack = wrap(_twice(lambda: _construct(env_id, {**presets, **options})), wrappers)
            hear_mujoco()  # which a suite may have loaded by itself
            made = made if around is None else around(made)
            scaling = settings.get("action_scaling", "auto")
            return Environment(made, env_id, view, scaling, stack, own_wrappers(wrappers), in_training)
    except SurrealError:
        raise
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if not isinstance(error, EXPLAIN_THEMSELVES):
            log.error("environment %r cannot be made", env_id, exc_info=error)
        raise _unmade(env_id, error, presets) from error


def _unmade(env_id: str, error: BaseException, presets: Mapping[str, Any]) -> Fatal:
    text = in_words(error).rstrip(".")
    if presets:
        text = f"{text} (a preset, which is for Atari games, gives it {', '.join(presets)})"
    return Fatal(f"environment {env_id!r}: cannot be made: {text}. Correct spec.env, or install what it needs.")


def _of_presets(wrappers: Sequence[Any]) -> dict[str, Any]:
    """Return the options of the presets among `wrappers`."""
    found = (PRESETS.get(entry) for entry in wrappers if isinstance(entry, str))
    return {key: value for preset in found if preset is not None for key, value in preset.options.items()}


def _twice(construct: Callable[[], gymnasium.Env[Any, Any]]) -> gymnasium.Env[Any, Any]:
    try:
        return construct()
    except MAY_PASS as error:
        log.warning("%s; trying once more", in_words(error))
        return construct()


def _construct(env_id: str, options: dict[str, Any]) -> gymnasium.Env[Any, Any]:
    module, colon, name = env_id.partition(":")
    spec = gymnasium.registry.get(env_id)
    if spec and "mujoco" in str(spec.entry_point):
        importlib.import_module("mujoco")
    hear_mujoco()
    if suite := suite_of(env_id):
        return make_of(suite, env_id, options)
    what: str | EnvSpec = env_id
    if colon:
        what = _own(module, name) or env_id
    else:
        check_id(env_id)
    made = gymnasium.make(what, disable_env_checker=True, **options)
    declared(repr(env_id), made)  # before a wrapper stumbles over what is missing
    return made


def _own(module: str, name: str) -> EnvSpec | None:
    """Return the class or function `name` of `module` as gymnasium takes it; None where `name` is a registered id.

    Raises Fatal that lists what the module has where it is neither.
    """
    if module == "__main__":
        raise Fatal(f"env.id: {in_main(f'{module}:{name}')}")
    loaded, registered = importlib.import_module(module), set(gymnasium.registry)
    found = getattr(loaded, name, None) if name.isidentifier() else None
    if callable(found) and name not in registered:
        return EnvSpec(f"{module}:{name}", entry_point=found)
    if name in registered or not name.isidentifier():
        return None
    classes = [key for key, value in vars(loaded).items() if _is_environment(value)]
    known = ", ".join(sorted(classes)) or "no environment"
    raise Fatal(
        f"env.id: {module}:{name} names nothing in {loaded.__file__}{did_you_mean(name, classes)}. It has: {known}."
    )


def named(env_id: str) -> Any:
    """Return the class or function that `module:object` or `module:Id-v0` names; None where it names none."""
    module, _, name = env_id.partition(":")
    spec = gymnasium.registry.get(name)
    found = spec.entry_point if spec else getattr(sys.modules.get(module), name, None)
    if isinstance(found, str):
        module, _, name = found.partition(":")
        found = getattr(sys.modules.get(module), name, None)
    return found


def _is_environment(value: Any) -> bool:
    return inspect.isclass(value) and issubclass(value, gymnasium.Env) and value is not gymnasium.Env
