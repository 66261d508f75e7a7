"""Completion of experiment data: fill in what a file leaves out, and find every problem before one error names all."""

from collections.abc import Iterator, Mapping
from os.path import isdir
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from surreal.algorithms.algorithm import Algorithm
from surreal.algorithms.registry import algorithm
from surreal.protocol.documents.locations import KeyPath, Problem, Source
from surreal.protocol.documents.models import Document, validated
from surreal.protocol.errors import InvalidInput, did_you_mean
from surreal.protocol.graph import RELAY, Role

_ROLES: KeyPath = ("spec", "roles")
_CHANNELS: KeyPath = ("spec", "channels")
_ALGORITHM: KeyPath = ("spec", "algorithm", "name")
_CONFIG: KeyPath = ("spec", "algorithm", "config")
_ENV: KeyPath = ("spec", "env", "id")
_CODE: KeyPath = ("spec", "code")
_OTHER_FILES = {
    "Cluster": "this is a cluster file, which has no experiment in it. Try: surreal cluster plan {file}",
    "Sweep": "this is a sweep, which runs an experiment many times. Try: surreal sweep {file}",
    "Plan": "this is a plan, which `surreal plan` makes. Name the experiment file that it was made from.",
}
"""Kind of another document of surreal -> sentence about it."""


def complete(model: type[Document], data: Any, source: Source, folder: Path) -> tuple[Document, Algorithm, BaseModel]:
    """Return the `model` of `data` with the algorithm's defaults, the algorithm with its relays, and its config.

    `folder` holds the user's own modules. Raises one InvalidInput with all problems at their lines in `source`.
    """
    _refuse_other_files(data, source)
    found, problems = _algorithm(data, folder)
    config = None
    problems += [*_wrong_wrappers(data), *_unknown_environment(data)]
    if found:
        problems += [*_wrong_channels(data, found), *_wrong_roles(data, found)]
        data, config, wrong = _with_config(_with_roles(_with_channels(data, found), found), found)
        problems += wrong
    document, wrong = validated(model, data)
    # The roles depend on the algorithm, so their errors say nothing when the algorithm is unknown.
    problems += [p for p in wrong if found or p[0][:2] not in (_ROLES, _CHANNELS) and p[0] != _CONFIG]
    if problems or document is None or found is None or config is None:
        raise source.invalid(problems)
    return document, found, config


def of_its_time(data: Any, folder: Path) -> Any:
    """Return the complete file of a run, `data`, with the keys of its config that came after it: `Config.before`.

    Defaults of today would change its algorithm.
    """
    found, config = _algorithm(data, folder)[0], _get(data, _CONFIG)
    before = getattr(found.config, "before", {}) if found else {}
    return _set(data, _CONFIG, {**before, **config}) if isinstance(config, dict) else data


def code_folder(code: Any, folder: Path) -> Path:
    """Return the folder whose modules processes import: `code` of the file's `folder`, or that itself without one.

    A run keeps what `code` holds as its `folder`, where no such folder is below.
    """
    # unlike a Path's, isdir takes a text that is no name of a file
    return named if isinstance(code, str) and isdir(named := folder / code) else folder


def _refuse_other_files(data: Any, source: Source) -> None:
    """Raise InvalidInput with one sentence for a document of another kind."""
    kind = _get(data, ("kind",))
    if isinstance(kind, str) and kind in _OTHER_FILES:
        text = _OTHER_FILES[kind].format(file=source.name)
        raise source.invalid([(("kind",), f"{kind!r} is not an Experiment: {text}")])


def _algorithm(data: Any, folder: Path) -> tuple[Algorithm | None, list[Problem]]:
    """Return the algorithm that `data` names, with the graph that its config asks for, or the problem with it.

    The models refuse a name that is missing.
    """
    name, relays = _get(data, _ALGORITHM), _relays(_get(data, _CHANNELS))
    folder = code_folder(_get(data, _CODE), folder)
    if not isinstance(name, str):
        return None, []
    try:
        return algorithm(name, folder).arranged(_get(data, _CONFIG)).with_relays(relays), []
    except InvalidInput as error:
        return None, [(_ALGORITHM, str(error))]


def _with_config(data: Any, algorithm: Algorithm) -> tuple[Any, BaseModel | None, list[Problem]]:
    """Check the algorithm's config and say its defaults; leave a config that is no mapping to the models."""
    config = _get(data, _CONFIG, {})
    if not isinstance(config, dict):
        return data, None, []
    checked, problems = validated(algorithm.config, config, _CONFIG)
    return _set(data, _CONFIG, checked.model_dump(mode="json") if checked else config), checked, problems


def _with_channels(data: Any, algorithm: Algorithm) -> Any:
    """Return `data` with every broadcast of the algorithm, each complete; the models refuse wrong values."""
    given = _get(data, _CHANNELS, {})
    if not isinstance(given, dict):
        return data
    defaults = {"relays": 0, "dtype": None}
    return _set(data, _CHANNELS, {name: _merge(defaults, given.get(name, {})) for name in algorithm.broadcasts()})


def _relays(channels: Any) -> dict[str, int]:
    """Return the number of relays of each channel; the models refuse what is no number."""
    asked = {name: _get(channels, (name, "relays")) for name in channels} if isinstance(channels, dict) else {}
    return {name: number for name, number in asked.items() if type(number) is int and number > 0}


def _wrong_channels(data: Any, algorithm: Algorithm) -> Iterator[Problem]:
    """Yield a problem for each channel that is no broadcast of the algorithm: others have no keys."""
    given, known = _get(data, _CHANNELS, {}), algorithm.broadcasts()
    kinds = {channel.name: channel.kind for channel in algorithm.channels}
    for name in given if isinstance(given, dict) else ():
        if name not in known:
            what = f"{name} is a {kinds[name]}" if name in kinds else f"unknown broadcast {name!r}"
            has = f"{algorithm.name} has: {', '.join(known) or 'none'}"
            yield (*_CHANNELS, name), f"{what}{did_you_mean(str(name), known)}; only broadcasts have keys, {has}"


def _with_roles(data: Any, algorithm: Algorithm) -> Any:
    """Return `data` with every role of the algorithm, each complete; the models refuse wrong values."""
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
    """Yield a problem for each role that the algorithm lacks, and for replicas of a role that has one only."""
    roles = _get(data, _ROLES, {})
    known = [role.name for role in algorithm.roles]
    for name in roles if isinstance(roles, dict) else ():
        path = (*_ROLES, name)
        if name not in known:
            has = f"{algorithm.name} has: {', '.join(known)}{_elsewhere(name, algorithm)}"
            yield path, f"unknown role {name!r}{did_you_mean(name, known)}; {has}"
            continue
        replicas = _get(roles, (name, "replicas"))
        fixed = algorithm.role(name).replicas
        # The models refuse zero, negative numbers and what is no number.
        if not algorithm.role(name).scalable and isinstance(replicas, int) and replicas > 0 and replicas != fixed:
            why = f"spec.channels.{name.removesuffix(RELAY)}.relays says so"
            if not name.endswith(RELAY):
                why = f"{algorithm.name} has one {name} only"
            yield (*path, "replicas"), f"must be {fixed}, not {replicas}: {why}"
        if isinstance(replicas, dict) and not (algorithm.role(name).scalable and algorithm.role(name).expendable):
            what = "a range is for roles whose processes may come and go"
            yield (*path, "replicas"), f"{what}, and {algorithm.name} needs each {name}. Set a number."


def _elsewhere(role: str, algorithm: Algorithm) -> str:
    """Return in words which config has a role that this one lacks; empty for none."""
    for key, values in algorithm.variants.items():
        for value, arrange in values.items():
            if role in (each.name for each in arrange(algorithm).roles):
                return f"; spec.algorithm.config.{key}: {value} has a role {role}"
    return ""


def _unknown_environment(data: Any) -> Iterator[Problem]:
    env_id = _get(data, _ENV)
    # a module of one's own may be importable only where the worker runs
    if not isinstance(env_id, str) or not env_id or ":" in env_id:
        return
    # The registry of environments is slow to import, and only an id of it needs it; what makes them is slower still.
    from surreal.algorithms.environments.suites import check_id

    try:
        check_id(env_id)
    except InvalidInput as error:
        yield _ENV, str(error)


def _wrong_wrappers(data: Any) -> Iterator[Problem]:
    """Yield a problem for each wrapper that cannot be applied; the models refuse what is no list."""
    env_id = _get(data, _ENV)
    for path in (("spec", "env", "wrappers"), ("spec", "env", "evaluation", "wrappers")):
        entries = _get(data, path)
        if isinstance(entries, list) and entries:
            from surreal.algorithms.environments.make import check_wrappers

            for number, text in check_wrappers(str(env_id), entries):
                yield (*path, number), text


def _get(data: Any, path: KeyPath, default: Any = None) -> Any:
    for key in path:
        if not isinstance(data, dict) or key not in data:
            return default
        data = data[key]
    return data


def _set(data: Any, path: KeyPath, value: Any) -> Any:
    """Return a copy of `data` with `value` at `path`; mappings above it are made where they are missing."""
    if not path:
        return value
    data = data if isinstance(data, dict) else {}
    return {**data, path[0]: _set(data.get(path[0], {}), path[1:], value)}


def _merge(defaults: Mapping[str, Any], given: Any) -> Any:
    """Return `given` over `defaults`, mapping by mapping; any other value replaces the default."""
    if not isinstance(given, dict):
        return given
    both = {key: _merge(defaults[key], given[key]) for key in given if isinstance(defaults.get(key), Mapping)}
    return {**defaults, **given, **both}
