"""JSON Schema of experiment files: that of the models, with the roles and the config of each built-in algorithm."""

from typing import Any

from surreal.algorithms.algorithm import Algorithm
from surreal.algorithms.registry import algorithms
from surreal.orchestrator.experiment.model import ExperimentDocument

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
    roles = [role.name for role in algorithm.with_relays(dict.fromkeys(algorithm.broadcasts(), 1)).roles]
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
