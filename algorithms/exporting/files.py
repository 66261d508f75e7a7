"""Files of exported policies: ONNX, TorchScript, and npz, which numpy and surreal run without torch."""

import json
import os
import zipfile
from collections.abc import Mapping
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from surreal.algorithms.computation.graph import Computation
from surreal.algorithms.computation.runtime import run
from surreal.algorithms.types import Array
from surreal.protocol.errors import InvalidInput, NotFound, SurrealError

if TYPE_CHECKING:
    from surreal.algorithms.environments.spaces import Spaces
    from surreal.algorithms.policies import Policy

Format = Literal["onnx", "torchscript", "npz"]
WRITERS: dict[Format, tuple[str, str]] = {
    "onnx": ("surreal.algorithms.computation.onnx_file", ".onnx"),
    "torchscript": ("surreal.algorithms.computation.torchscript_file", ".pt"),
    "npz": ("surreal.algorithms.exporting.files", ".npz"),
}
"""Format -> module with its `write`, and the usual ending of its files."""
VERSION = 1
"""Form of the npz."""
DESCRIPTION, CONSTANT = "surreal", "constant."
TOLERANCE = 1e-5
"""Difference of two actions that float32 explains."""
UNDECIDED = 0.1
"""Share of choices between equal logits."""
MAX_BYTES = 2**32
"""Size of all arrays of a file that is loaded."""


class ExportedPolicy:
    """Policy of an npz file. Calling it changes nothing."""

    def __init__(self, graph: Computation, about: Mapping[str, Any]) -> None:
        """Use `surreal.load`."""
        self.about = about
        """Description: `algorithm`, `env`, `observation`, `action`, `network`, `versions`, `steps`, `score`."""
        self._graph = graph
        self.state_size = next((each.shape[0] for each in graph.inputs if each.name == "state"), 0)
        """Numbers that the policy remembers from step to step; 0 for one without memory."""

    def __call__(self, observations: Any) -> Array:
        """Return the likeliest action [n, ...] for each of the observations [n, ...], or parts [n, ...] by name.

        Raises InvalidInput for observations that do not fit, and for a policy with memory: use `step`.
        """
        if self.state_size:
            raise InvalidInput("policy: it has memory. Use actions, state = policy.step(observations, state).")
        return self.step(observations, self.initial_state(0))[0]

    def initial_state(self, n: int) -> Array:
        """Return the state [n, state_size] at the start of n episodes."""
        return np.zeros((n, self.state_size), dtype=np.float32)

    @cached_property
    def spaces(self) -> "Spaces":
        """Spaces of the environment that it was trained in."""
        from surreal.algorithms.recording.policy_record import spaces_of

        return spaces_of(self.about)

    def step(self, observations: Any, state: Array, *, masks: Any = None, rewards: Any = None) -> tuple[Array, Array]:
        """Return an action for each observation as a call does, and the next state [n, state_size].

        `masks` [n, all choices] are the choices allowed. `rewards` are for policies that take them in, which have no
        exported form.
        """
        given = {name.partition(".")[2]: observations for name in self._names()}
        if isinstance(observations, Mapping):
            given = dict(observations)
        inputs = {each.name: self._fitting(each, given) for each in self._graph.inputs if each.name != "state"}
        if self.state_size:
            inputs["state"] = np.asarray(state, dtype=np.float32)
        found = run(self._graph, inputs)
        action = found["action"] if masks is None else self._allowed(found["logits"], masks)
        return action, found.get("next_state", state)

    def _allowed(self, logits: Array, masks: Any) -> Array:
        from surreal.algorithms.distributions import masked
        from surreal.algorithms.environments.actions import action_map, chosen

        best = chosen(masked(logits, np.asarray(masks, dtype=np.bool_)), self.spaces.choices)
        return action_map(self.spaces.action_space)(best)

    def _names(self) -> list[str]:
        return [each.name for each in self._graph.inputs if each.name != "state"]

    def _fitting(self, value: Any, given: Mapping[str, Any]) -> Array:
        part = value.name.partition(".")[2]
        array = np.asarray(given.get(part))
        if array.dtype.kind not in "biuf" or array.shape[1:] != value.shape or not array.ndim:
            shape = "x".join(map(str, array.shape)) or "a single value"
            expected = ", ".join(map(str, ("n", *value.shape)))
            raise InvalidInput(f"observations: {shape} does not fit {value.name}. Give an array [{expected}].")
        return array.astype(value.dtype, copy=False)


def export(policy: "Policy", path: Path | str, format: Format | None = None) -> Computation:
    """Write a policy of `run.policy()` to a file; return its graph, whose actions were compared with the policy's.

    `format` is by default that of the ending: .onnx, .pt (TorchScript) or .npz. Statistics of observations, memory,
    bounds and choices are inside; actions are the likeliest ones. Raises InvalidInput for a network of one's own, for a
    missing package and for a place that cannot be written.
    """
    from surreal.algorithms.exporting.translate import computation_of

    if not hasattr(policy, "spaces"):
        raise InvalidInput(f"policy: {policy!r} cannot be exported. Give one of run.policy() or surreal.load().")
    path = Path(path)
    format = format_of(path, format)
    graph = computation_of(policy)
    check(policy, graph)
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        import_module(WRITERS[format][0]).write(graph, policy.about, unfinished)
        os.replace(unfinished, path)
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror or error}. Name a file in a folder that you can write.") from None
    finally:
        unfinished.unlink(missing_ok=True)
    return graph


def format_of(path: Path, format: Format | None = None) -> Format:
    """Return `format`, by default that of the ending. Raises InvalidInput for an ending that is of another one."""
    endings = {ending: name for name, (_, ending) in WRITERS.items()}
    if format is None and path.suffix not in endings:
        known = ", ".join(endings)
        raise InvalidInput(f"export: {str(path)!r} has no known ending. Name a file with one of {known}.")
    ending = endings.get(path.suffix, format)
    if format is not None and ending != format:
        right = path.with_suffix(WRITERS[format][1])
        raise InvalidInput(f"export: {str(path)!r} ends as a file of {ending}, not {format}. Name it {str(right)!r}.")
    assert ending is not None
    return ending


def check(policy: "Policy", graph: Computation, rows: int = 16) -> None:
    """Raise SurrealError where a graph acts otherwise than its policy, on random observations."""
    rng = np.random.default_rng(0)
    inputs = {each.name: _drawn(each, rows, rng) for each in graph.inputs}
    parts = {name.partition(".")[2]: rows for name, rows in inputs.items() if name != "state"}
    state = inputs.get("state", policy.initial_state(rows))
    expected, following = policy.step(parts.get("", parts), state)
    found = run(graph, inputs)
    differs = float(np.abs(found.get("next_state", state).astype(np.float64) - following).max(initial=0.0))
    if "logits" in found:
        # Two logits that are equal but for their last bit may be told apart otherwise.
        differs += float(np.mean(found["action"] != expected) > UNDECIDED)
    else:
        differs += float(np.abs(found["action"].astype(np.float64) - expected).max(initial=0.0))
    if not differs <= TOLERANCE * max(1.0, float(np.abs(expected).max(initial=0.0))):
        raise SurrealError(f"export: actions differ by {differs:g} from those of the policy. Please report it.")


def _drawn(value: Any, rows: int, rng: np.random.Generator) -> Array:
    if value.dtype.startswith(("uint", "int")):
        return rng.integers(0, 2, (rows, *value.shape)).astype(value.dtype)
    return rng.standard_normal((rows, *value.shape)).astype(value.dtype)


def write(graph: Computation, about: Mapping[str, Any], path: Path) -> None:
    """Write an npz: the constants as arrays, and the rest as one text in JSON. Raises OSError."""
    text = json.dumps({"version": VERSION, "policy": dict(about), "graph": graph.to_data()})
    arrays: dict[str, Any] = {f"{CONSTANT}{name}": array for name, array in graph.constants.items()}
    arrays[DESCRIPTION] = np.array(text)
    with path.open("wb") as file:
        # a file instead of its name: numpy would change the ending
        np.savez(file, **arrays)


def load_exported(path: Path) -> ExportedPolicy:
    """Return the policy of an npz file. Raises NotFound for no file, and InvalidInput for one that is no policy."""
    if not path.is_file():
        raise NotFound(f"{str(path)!r}: there is no such file. Name one that `surreal export --format npz` wrote.")
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(each.file_size for each in archive.infolist()) > MAX_BYTES:
                raise ValueError("it is larger than 4 GiB")
        with np.load(path, allow_pickle=False) as arrays:
            data = json.loads(str(arrays[DESCRIPTION]))
            if data["version"] > VERSION:
                raise InvalidInput(f"{path}: it is of a later surreal. Upgrade surreal.")
            constants = {name.removeprefix(CONSTANT): arrays[name] for name in arrays if name.startswith(CONSTANT)}
        return ExportedPolicy(Computation.from_data(data["graph"], constants), data["policy"])
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise InvalidInput(f"{path}: is no exported policy: {error}. Name an npz of `surreal export`.") from None
