"""Plain data -> a complete, checked document. Every problem is found before one error says them all."""

from collections.abc import Iterator, Mapping
from typing import Any

from surreal.algorithms.algorithm import Algorithm
from surreal.algorithms.registry import algorithms
from surreal.protocol.documents.locations import KeyPath, Problem, Source
from surreal.protocol.documents.models import Document, validated
from surreal.protocol.errors import InvalidInput, did_you_mean
from surreal.protocol.graph import RELAY, Role

_ROLES: KeyPath = ("spec", "roles")
_CHANNELS: KeyPath = ("spec", "channels")
_ALGORITHM: KeyPath = ("spec", "algorithm", "name")
_CONFIG: KeyPath = ("spec", "algorithm", "config")
_ENV: KeyPath = ("spec", "env", "id")


def complete(model: type[Document], data: Any, source: Source) -> Document:
    """An experiment `model` of `data`, with what is left out filled in from the algorithm.

    Raises one InvalidInput with all problems at their lines in `source`.
    """
    problems: list[Problem] = []
    name = _get(data, _ALGORITHM)
    known = algorithms().get(name) if isinstance(name, str) else None
    if isinstance(name, str) and not known:
        options = ", ".join(sorted(algorithms()))
        problems.append((_ALGORITHM, f"unknown algorithm {name!r}{did_you_mean(name, algorithms())}; known: {options}"))
    if known:
        problems += _wrong_channels(data, known)
        data = _with_channels(data, known)
        known = known.with_relays(_relays(data, known))
        problems += _wrong_roles(data, known)
        data, found = _with_config(_with_roles(data, known), known)
        problems += found
    problems += _unknown_environment(data)
    document, found = validated(model, data)
    # without the algorithm nothing can be said of these, least of all that they miss something
    problems += [p for p in found if known or p[0][:2] not in (_ROLES, _CHANNELS) and p[0] != _CONFIG]
    if problems or document is None:
        raise source.invalid(problems)
    return document


def _with_config(data: Any, algorithm: Algorithm) -> tuple[Any, list[Problem]]:
    """`data` with the algorithm's config checked and its defaults said; a config that is no mapping is left alone."""
    config = _get(data, _CONFIG, {})
    if not isinstance(config, dict):
        return data, []
    checked, problems = validated(algorithm.config, config, _CONFIG)
    return _set(data, _CONFIG, checked.model_dump(mode="json") if checked else config), problems


def _with_channels(data: Any, algorithm: Algorithm) -> Any:
    """`data` with every broadcast of the algorithm, each complete; what is wrong stays for the models to say."""
    given = _get(data, _CHANNELS, {})
    if not isinstance(given, dict):
        return data
    defaults = {"relays": 0, "dtype": None}
    return _set(data, _CHANNELS, {name: _merge(defaults, given.get(name, {})) for name in algorithm.broadcasts()})


def _relays(data: Any, algorithm: Algorithm) -> dict[str, int]:
    """How many relays each broadcast is to have; what is no number is the models' to refuse."""
    asked = {name: _get(data, (*_CHANNELS, name, "relays")) for name in algorithm.broadcasts()}
    return {name: number for name, number in asked.items() if type(number) is int and number > 0}


def _wrong_channels(data: Any, algorithm: Algorithm) -> Iterator[Problem]:
    """Channels that are no broadcast of the algorithm: nothing can be said about others."""
    given, known = _get(data, _CHANNELS, {}), algorithm.broadcasts()
    kinds = {channel.name: channel.kind for channel in algorithm.channels}
    for name in given if isinstance(given, dict) else ():
        if name not in known:
            what = f"{name} is a {kinds[name]}" if name in kinds else f"unknown broadcast {name!r}"
            has = f"{algorithm.name} has: {', '.join(known) or 'none'}"
            yield (*_CHANNELS, name), f"{what}{did_you_mean(str(name), known)}; only broadcasts have keys, {has}"


def _with_roles(data: Any, algorithm: Algorithm) -> Any:
    """`data` with every role of the algorithm, each complete; what is wrong stays for the models to say."""
    given = _get(data, _ROLES, {})
    if not isinstance(given, dict):
        return data
    return _set(
        data, _ROLES, {role.name: _merge(_defaults(role), given.get(role.name, {})) for role in algorithm.roles}
    )


def _defaults(role: Role) -> dict[str, Any]:
    resources = {"cpu": role.cpu, "memory": role.memory, "gpu": 0}
    return {"replicas": role.replicas, "resources": resources, "pool": None, "spot": None, "env": {}}


def _wrong_roles(data: Any, algorithm: Algorithm) -> Iterator[Problem]:
    """Roles the algorithm does not have, and replicas of those that cannot be more than one."""
    roles = _get(data, _ROLES, {})
    known = [role.name for role in algorithm.roles]
    for name in roles if isinstance(roles, dict) else ():
        path = (*_ROLES, name)
        if name not in known:
            yield path, f"unknown role {name!r}{did_you_mean(name, known)}; {algorithm.name} has: {', '.join(known)}"
            continue
        replicas = _get(roles, (name, "replicas"))
        fixed = algorithm.role(name).replicas
        # zero, negative ones and those that are no number are the models' to refuse
        if not algorithm.role(name).scalable and isinstance(replicas, int) and replicas > 0 and replicas != fixed:
            why = f"spec.channels.{name.removesuffix(RELAY)}.relays says so"
            if not name.endswith(RELAY):
                why = f"{algorithm.name} has one {name} only"
            yield (*path, "replicas"), f"must be {fixed}, not {replicas}: {why}"


def _unknown_environment(data: Any) -> Iterator[Problem]:
    env_id = _get(data, _ENV)
    if not isinstance(env_id, str) or not env_id:
        return
    # the registry of environments is slow to import, and only a checked experiment needs it
    from surreal.algorithms.environments.make import check_id

    try:
        check_id(env_id)
    except InvalidInput as error:
        yield _ENV, str(error)


def _get(data: Any, path: KeyPath, default: Any = None) -> Any:
    for key in path:
        if not isinstance(data, dict) or key not in data:
            return default
        data = data[key]
    return data


def _set(data: Any, path: KeyPath, value: Any) -> Any:
    """A copy of `data` with `value` at `path`, whose mappings above exist or are made."""
    if not path:
        return value
    data = data if isinstance(data, dict) else {}
    return {**data, path[0]: _set(data.get(path[0], {}), path[1:], value)}


def _merge(defaults: Mapping[str, Any], given: Any) -> Any:
    """`given` over `defaults`, mapping by mapping; what is no mapping replaces the default."""
    if not isinstance(given, dict):
        return given
    both = {key: _merge(defaults[key], given[key]) for key in given if isinstance(defaults.get(key), Mapping)}
    return {**defaults, **given, **both}
