"""The JSON Schema of experiment files: the models' own, with the roles and the config of each algorithm filled in."""

from typing import Any

from surreal.algorithms.algorithm import Algorithm
from surreal.algorithms.registry import algorithms
from surreal.orchestrator.experiment.model import Experiment


def experiment_schema() -> dict[str, Any]:
    """A JSON Schema (2020-12) of what a person may write, which is less than what a complete Experiment says."""
    schema = Experiment.model_json_schema(by_alias=True)
    definitions: dict[str, Any] = schema["$defs"]
    # roles, channels and config are completed from the algorithm, so a file may leave out any part of them
    for name in ("RoleSpec", "ResourcesSpec", "ChannelSpec"):
        del definitions[name]["required"]
    definitions["AlgorithmSpec"]["required"].remove("config")
    definitions["AlgorithmSpec"]["properties"]["name"]["enum"] = sorted(algorithms())
    spec = definitions["ExperimentSpec"]
    spec["required"] = [key for key in spec["required"] if key not in ("roles", "channels")]
    spec["allOf"] = [_conditional(algorithm, definitions) for _, algorithm in sorted(algorithms().items())]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _conditional(algorithm: Algorithm, definitions: dict[str, Any]) -> dict[str, Any]:
    """`if the algorithm is this one, then its config and roles are these`; adds the config's own definitions."""
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
