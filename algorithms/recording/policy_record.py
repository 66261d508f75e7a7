"""Description of a policy as plain data, so that its checkpoint can be used without the run that made it.

policy:
  format: 1
  algorithm: ppo                        which algorithm trained it
  env: {id, options, wrappers}          in which environment
  view: features                        how it sees observations; and stack, scaling, see Spaces
  observation: {kind: Box, ...}         spaces of that environment
  action: {kind: Discrete, ...}
  network: {kind: pair, hidden: [64, 64]}
  tensors: {parameters: updater.parameters}   names in the file, where they are not the plain ones
  versions: {surreal, gymnasium, mujoco, numpy, and the environment's own distribution}
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from surreal.algorithms.algorithm import differences
from surreal.algorithms.environments.environment import Environment
from surreal.algorithms.environments.spaces import Space, Spaces
from surreal.algorithms.models.config import NetworkConfig
from surreal.algorithms.recording.versions import distributions_of, installed
from surreal.protocol.documents.effects import shown
from surreal.protocol.errors import Fatal

Record = dict[str, Any]
FORMAT = 1
PACKAGES = ("surreal", "gymnasium", "mujoco", "numpy")
ENV = ("id", "options", "wrappers", "evaluation")
STATISTICS = ("shift", "scale", "clip")
"""Arrays of a Standardizer, as every checkpoint names them."""
BUILT = ("actor-critic", "recurrent-values")
"""Kinds of networks that are described by a whole NetworkConfig."""


def describe(
    algorithm: str,
    env: Environment,
    settings: Mapping[str, Any],
    network: Mapping[str, Any],
    tensors: Mapping[str, str] | None = None,
) -> Record:
    """Return the description of a policy for the environment `env`, made with `settings` (its `id` and `options`).

    `network` names the kind of network and its sizes; `tensors` says under which names the arrays of a checkpoint are,
    where these are not `parameters`, `shift`, `scale` and `clip`.
    """
    return {
        "format": FORMAT,
        "algorithm": algorithm,
        "env": {"options": {}, **{key: settings[key] for key in ENV if settings.get(key)}},
        "view": env.spaces.view,
        "stack": env.spaces.stack,
        "scaling": env.spaces.scaling,
        "observation": space_data(env.spaces.observation_space),
        "action": space_data(env.spaces.action_space),
        "network": dict(network),
        "tensors": dict(tensors or {}),
        "versions": versions(env.module),
    }


def spaces_of(record: Mapping[str, Any]) -> Spaces:
    """Return the spaces that a description names. Raises ValueError or KeyError for what is none."""
    return Spaces(
        space_from(record["observation"]),
        space_from(record["action"]),
        record.get("view", "features"),
        record.get("scaling", "auto"),
        record.get("stack", 1),
    )


def refuse_another_network(was: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise Fatal where the descriptions of two policies name other networks: weights of the one mean nothing there.

    As many numbers as another network has would be taken without a word.
    """
    for key, had, has in differences(_network(was), _network(now)):
        raise Fatal(
            f"spec.algorithm.config.network: the checkpoint is of another one, whose {key} is {shown(had)}, and this "
            f"run has {shown(has)}. Set the network of the run that it is of, or begin a new run."
        )


def _network(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the network of a description, with keys that are newer than it."""
    found: Mapping[str, Any] = record.get("network", {})
    if found.get("kind") not in BUILT:
        return found
    return {**found, "network": NetworkConfig(**found["network"]).lasting()}


def versions(module: str) -> dict[str, str]:
    """Return package -> version of what decides how an environment whose class is in `module` behaves."""
    found = installed((*PACKAGES, *distributions_of(module.partition(".")[0])))
    return {package: known for package, known in found.items() if known is not None}


def space_data(space: Space) -> Record:
    """Return a space as plain data. Raises ValueError for a kind that no policy here takes."""
    match space:
        case spaces.Box():
            bounds = {"low": _bound(space.low), "high": _bound(space.high)}
            return {"kind": "Box", "shape": list(space.shape), "dtype": str(space.dtype), **bounds}
        case spaces.Discrete():
            return {"kind": "Discrete", "n": int(space.n), "start": int(space.start)}
        case spaces.MultiDiscrete():
            start = np.asarray(getattr(space, "start", np.zeros_like(space.nvec))).tolist()
            return {"kind": "MultiDiscrete", "nvec": np.asarray(space.nvec).tolist(), "start": start}
        case spaces.MultiBinary():
            # MultiBinary(3) and MultiBinary((3,)) are not equal.
            return {"kind": "MultiBinary", "n": space.n if isinstance(space.n, int) else list(space.shape)}
        case spaces.Dict():
            return {"kind": "Dict", "spaces": {name: space_data(part) for name, part in space.spaces.items()}}
        case spaces.Tuple():
            return {"kind": "Tuple", "spaces": [space_data(part) for part in space.spaces]}
    raise ValueError(f"the space {space} has no description")


def space_from(data: Mapping[str, Any]) -> Space:
    """Return the space that `space_data` described. Raises ValueError or KeyError for what is none."""
    match data["kind"]:
        case "Box":
            shape, dtype = tuple(data["shape"]), np.dtype(data["dtype"])
            return spaces.Box(_array(data["low"], shape, dtype), _array(data["high"], shape, dtype), shape, dtype.type)
        case "Discrete":
            return spaces.Discrete(data["n"], start=data["start"])
        case "MultiDiscrete":
            return spaces.MultiDiscrete(data["nvec"], start=data["start"])
        case "MultiBinary":
            return spaces.MultiBinary(data["n"])
        case "Dict":
            return spaces.Dict({name: space_from(part) for name, part in data["spaces"].items()})
        case "Tuple":
            return spaces.Tuple([space_from(part) for part in data["spaces"]])
    raise ValueError(f"unknown kind of space {data['kind']!r}")


def _bound(values: Any) -> Any:
    """Return bounds as lists, or as one number where all are equal."""
    flat = np.unique(values)
    return _json(flat[0].item() if len(flat) == 1 else values.tolist())


def _json(value: Any) -> Any:
    """Return numbers as JSON has them: it knows no infinity, so that one is a text."""
    if isinstance(value, list):
        return [_json(part) for part in value]
    return str(value) if isinstance(value, float) and np.isinf(value) else value


def _array(bound: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    return np.broadcast_to(np.array(bound, dtype=dtype), shape)
