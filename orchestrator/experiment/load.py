"""Experiment files: read one, replace values by `--set`, and make a checked Experiment of it."""

from collections.abc import Sequence
from os.path import isdir
from pathlib import Path
from typing import Any

from surreal.algorithms.algorithm import Algorithm
from surreal.algorithms.registry import algorithms
from surreal.orchestrator.experiment.experiment import Experiment
from surreal.orchestrator.experiment.model import ExperimentDocument
from surreal.protocol.documents import yaml as strictyaml
from surreal.protocol.documents.effects import shown
from surreal.protocol.documents.locations import SET, KeyPath, Source
from surreal.protocol.documents.yaml import load_file
from surreal.protocol.errors import InvalidInput


def load_experiment(path: Path, overrides: Sequence[str] = ()) -> Experiment:
    """Read an experiment file, apply overrides (`spec.seed=3`), fill in defaults and check it.

    Raises one InvalidInput that names every problem with its line.
    """
    data, source = load_file(path)
    for override in overrides:
        data = apply_override(data, override, source.lines)
    folder = path.absolute().parent
    _refuse_a_code_folder_that_is_not_there(data, source, folder)
    return Experiment.from_data(data, source, folder)


def _refuse_a_code_folder_that_is_not_there(data: Any, source: Source, folder: Path) -> None:
    """Raise InvalidInput for `spec.code` where it is no folder: what else is wrong of modules follows from it."""
    spec = data.get("spec") if isinstance(data, dict) else None
    code = spec.get("code") if isinstance(spec, dict) else None
    if isinstance(code, str) and not isdir(folder / code):
        text = f"{folder / code} is no folder. Name one, relative to the experiment file."
        raise source.invalid([(("spec", "code"), text)])


def apply_override(data: Any, override: str, lines: dict[KeyPath, int]) -> Any:
    """Return `data` with `path.to.key=VALUE` set, VALUE in YAML; missing keys on the way are made.

    Marks the key in `lines`, so that later errors name `--set`. Raises InvalidInput for a text of another form and for
    a path through something that is no mapping. The document's models check that the key exists.
    """
    dotted, equals, text = override.partition("=")
    path = tuple(dotted.strip().split("."))
    if not equals or not all(path):
        raise InvalidInput(f"--set {override}: must be path.to.key=value. For example: --set spec.seed=3.")
    if not text.strip():
        raise InvalidInput(f"--set {override}: has no value. Write null or '' for none.")
    value, _ = strictyaml.load(text, Source(f"--set {dotted}", has_lines=False))
    for known in [known for known in lines if known[: len(path)] == path]:
        del lines[known]
    _parent(data, path, lines)[path[-1]] = value
    lines[path] = SET
    return data


def _parent(data: Any, path: KeyPath, lines: dict[KeyPath, int]) -> dict[Any, Any]:
    """Return the mapping that holds the last key of `path`; make missing ones on the way."""
    for depth, key in enumerate(path, start=1):
        if not isinstance(data, dict):
            above = ".".join(map(str, path[: depth - 1])) or "the document"
            key = ".".join(map(str, path))
            if isinstance(data, list):
                raise InvalidInput(f"--set {key}: {above} is a list. Set the whole of it.")
            raise InvalidInput(f"--set {key}: {above} is {shown(data)}, which has no keys. Set that key itself.")
        if depth == len(path):
            return data
        if key not in data:
            data[key] = {}
            lines[path[:depth]] = SET
        data = data[key]
    raise AssertionError("a path has at least one key")


OWN = r"^[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_]*$"
"""`module:Name` of an algorithm in the experiment's folder."""


def experiment_schema() -> dict[str, Any]:
    """Return a JSON Schema (2020-12) of the file, which may leave out what a complete Experiment says."""
    schema = ExperimentDocument.model_json_schema(by_alias=True)
    definitions: dict[str, Any] = schema["$defs"]
    # The algorithm completes roles, channels and config, so a file may leave out any part of them.
    for name in ("RoleSpec", "ResourcesSpec", "ChannelSpec"):
        del definitions[name]["required"]
    definitions["AlgorithmSpec"]["required"].remove("config")
    name = definitions["AlgorithmSpec"]["properties"]["name"]
    name["anyOf"] = [
        {"enum": sorted(algorithms())},
        {"pattern": OWN, "description": "An Algorithm of your own module."},
    ]
    spec = definitions["ExperimentSpec"]
    spec["required"] = [key for key in spec["required"] if key not in ("roles", "channels")]
    spec["allOf"] = [_conditional(algorithm, definitions) for _, algorithm in sorted(algorithms().items())]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _conditional(algorithm: Algorithm, definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the rule for one algorithm: its config, roles and channels. Adds the config's own definitions."""
    config = algorithm.config.model_json_schema(by_alias=True, ref_template=f"#/$defs/{algorithm.name}.{{model}}")
    for name, definition in config.pop("$defs", {}).items():
        definitions[f"{algorithm.name}.{name}"] = definition
    definitions[f"{algorithm.name}.config"] = config
    roles = [role.name for role in algorithm.widest().with_relays(dict.fromkeys(algorithm.broadcasts(), 1)).roles]
    named = {"properties": {"name": {"const": algorithm.name}}, "required": ["name"]}
    return {
        "if": {"properties": {"algorithm": named}, "required": ["algorithm"]},
        "then": {
            "properties": {
                "algorithm": {"properties": {"config": {"$ref": f"#/$defs/{algorithm.name}.config"}}},
                "roles": {"propertyNames": {"enum": roles}},
                "channels": {"propertyNames": {"enum": algorithm.broadcasts()}},
            }
        },
    }
