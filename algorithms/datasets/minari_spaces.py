"""Spaces and environments as Minari's metadata.json writes them: JSON in a text."""

import json
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec

from surreal.algorithms.datasets.episode import DamagedError

Space = spaces.Space[Any]
MOST_DEPTH = 20
"""Depth of nested spaces."""


def space_text(space: Space) -> str:
    """Return a space as Minari's text. Raises ValueError for a kind that it does not know."""
    return json.dumps(_plain(space))


def _plain(space: Space) -> dict[str, Any]:
    match space:
        case spaces.Box():
            bounds = {"low": space.low.tolist(), "high": space.high.tolist()}
            return {"type": "Box", "dtype": str(space.dtype), "shape": list(space.shape), **bounds}
        case spaces.Discrete():
            return {"type": "Discrete", "dtype": "int64", "start": int(space.start), "n": int(space.n)}
        case spaces.MultiDiscrete():
            start = np.asarray(getattr(space, "start", np.zeros_like(space.nvec))).tolist()
            return {"type": "MultiDiscrete", "dtype": str(space.dtype), "nvec": space.nvec.tolist(), "start": start}
        case spaces.MultiBinary():
            return {"type": "MultiBinary", "n": space.n}
        case spaces.Dict():
            return {"type": "Dict", "subspaces": {key: _plain(part) for key, part in space.spaces.items()}}
        case spaces.Tuple():
            return {"type": "Tuple", "subspaces": [_plain(part) for part in space.spaces]}
    raise ValueError(f"the space {space} cannot be written to a dataset")


def read_space(text: Any, place: str) -> Space | None:
    """Return the space in a text; None for none. Raises DamagedError for what is no space."""
    if text is None:
        return None
    try:
        return _space(json.loads(text) if isinstance(text, str) else text, 0)
    except (KeyError, ValueError, TypeError, AssertionError) as error:
        raise DamagedError(f"{place}: a space in metadata.json makes no sense: {error!r}. Record it anew.") from None


def _space(data: Any, depth: int) -> Space:
    if depth > MOST_DEPTH:
        raise ValueError("it is nested too deeply")
    kind = data["type"]
    if kind == "Box":
        dtype: Any = np.dtype(data["dtype"]).type
        low, high = np.array(data["low"], dtype=dtype), np.array(data["high"], dtype=dtype)
        return spaces.Box(low, high, tuple(data["shape"]), dtype)
    if kind == "Discrete":
        return spaces.Discrete(data["n"], start=data.get("start", 0))
    if kind == "MultiDiscrete":
        return spaces.MultiDiscrete(data["nvec"], start=data.get("start"))
    if kind == "MultiBinary":
        return spaces.MultiBinary(data["n"])
    if kind == "Dict":
        return spaces.Dict({key: _space(part, depth + 1) for key, part in data["subspaces"].items()})
    if kind == "Tuple":
        return spaces.Tuple([_space(part, depth + 1) for part in data["subspaces"]])
    raise ValueError(f"unknown kind {kind!r}")


def env_text(spec: EnvSpec | None) -> str | None:
    """Return a registration as Minari's text; None for an environment that has none or one that is no JSON."""
    try:
        return None if spec is None else spec.to_json()
    except (TypeError, ValueError):
        return None


def env_id(text: Any) -> str | None:
    """Return the id of the environment in Minari's text; None where it says none."""
    try:
        found = json.loads(text)["id"]
    except (KeyError, ValueError, TypeError):
        return None
    return found if isinstance(found, str) else None
