"""Custom resource definitions of Experiment and Sweep, as `surreal schema crd` prints them."""

from typing import Any

from surreal.algorithms.registry import algorithms
from surreal.orchestrator.experiment.load import experiment_schema
from surreal.orchestrator.operator.crd import rules
from surreal.orchestrator.operator.crd.status import experiment_status, sweep_status
from surreal.orchestrator.operator.crd.structural import structural
from surreal.orchestrator.sweeps.model import sweep_schema
from surreal.protocol.documents import yaml as strictyaml
from surreal.protocol.documents.models import API_VERSION, MAX_NAME_CHARS

GROUP, _, VERSION = API_VERSION.partition("/")
NAME = rf"^[a-z]([-a-z0-9]{{0,{MAX_NAME_CHARS - 2}}}[a-z0-9])?$"
"""Names of experiments: their Services begin with no digit."""
SWEEP_NAME_CHARS = 28
MOST_REPLICAS = 10_000
RUN_KEYS = {
    "suspend": {
        "description": "True stops the run after a checkpoint, as surreal stop does; false lets it go on.",
        "type": "boolean",
        "default": False,
    },
    "replicas": {
        "description": "Processes of the role that acts, set by kubectl scale. 0: as spec.roles or the algorithm says.",
        "type": "integer",
        "format": "int32",
        "minimum": 0,
        "maximum": MOST_REPLICAS,
        "default": 0,
    },
}
"""Keys that only the resource has, besides those of the file."""


def definitions() -> list[dict[str, Any]]:
    """Return the CustomResourceDefinitions of this version."""
    return [_experiment(), _sweep()]


def definitions_yaml() -> str:
    """Return the definitions as YAML documents, the same text for the same version."""
    return "---\n".join(strictyaml.dump(each) for each in definitions())


def _experiment() -> dict[str, Any]:
    file = experiment_schema()
    # A rule with a sentence says what the choice of editors says.
    del file["$defs"]["AlgorithmSpec"]["properties"]["name"]["anyOf"]
    spec = structural(file)["properties"]["spec"]
    properties = spec["properties"]
    properties["algorithm"]["x-kubernetes-validations"] = rules.algorithm_rules(sorted(algorithms()))
    properties["storage"]["x-kubernetes-validations"] = rules.STORAGE
    role = properties["roles"]["additionalProperties"]["properties"]
    role["env"]["x-kubernetes-validations"] = rules.VARIABLES
    role["volumes"]["items"]["x-kubernetes-validations"] = rules.VOLUME
    properties |= RUN_KEYS
    spec["x-kubernetes-validations"] = rules.experiment_rules(properties)
    version = _version(spec, experiment_status(), NAME, MAX_NAME_CHARS, EXPERIMENT_COLUMNS)
    version["subresources"]["scale"] = {
        "specReplicasPath": ".spec.replicas",
        "statusReplicasPath": ".status.replicas",
        "labelSelectorPath": ".status.selector",
    }
    return _definition("Experiment", "experiments", ["exp"], version)


def _sweep() -> dict[str, Any]:
    spec = structural(sweep_schema())["properties"]["spec"]
    spec["properties"]["suspend"] = RUN_KEYS["suspend"]
    spec["x-kubernetes-validations"] = rules.SWEEP
    version = _version(spec, sweep_status(), NAME.replace("38", "26"), SWEEP_NAME_CHARS, SWEEP_COLUMNS)
    return _definition("Sweep", "sweeps", ["sw"], version)


def _version(
    spec: dict[str, Any], status: dict[str, Any], pattern: str, longest: int, columns: list[dict[str, Any]]
) -> dict[str, Any]:
    name = {"type": "string", "pattern": pattern, "maxLength": longest}
    schema = {
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object", "properties": {"name": name}},
            "spec": spec,
            "status": status,
        },
    }
    return {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}},
        "selectableFields": [{"jsonPath": ".status.state"}],
        "additionalPrinterColumns": columns,
    }


def _definition(kind: str, plural: str, short: list[str], version: dict[str, Any]) -> dict[str, Any]:
    names = {
        "kind": kind,
        "listKind": f"{kind}List",
        "plural": plural,
        "singular": kind.lower(),
        "shortNames": short,
        "categories": ["all", "surreal"],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.{GROUP}",
            "labels": {"app.kubernetes.io/name": "surreal"},
            # Without a definition all its resources go, and their runs with them.
            "annotations": {"helm.sh/resource-policy": "keep"},
        },
        "spec": {"group": GROUP, "scope": "Namespaced", "names": names, "versions": [version]},
    }


def _column(name: str, kind: str, path: str, text: str, wide: bool = False) -> dict[str, Any]:
    return {
        "name": name,
        "type": kind,
        "jsonPath": path,
        "description": text,
        **({"priority": 1} if wide else {}),
    }


AGE = _column("Age", "date", ".metadata.creationTimestamp", "Time since it was made.")
EXPERIMENT_COLUMNS = [
    _column("State", "string", ".status.state", "State of the run, as surreal status says it."),
    _column("Steps", "integer", ".status.steps", "Environment steps."),
    _column("Return", "string", ".status.return", "Return of the newest episodes."),
    _column("Steps/s", "integer", ".status.stepsPerSecond", "Environment steps in a second."),
    _column("Actors", "integer", ".status.replicas", "Processes of the role that acts.", wide=True),
    _column("Reason", "string", ".status.reason", "Reason of the state.", wide=True),
    AGE,
]
SWEEP_COLUMNS = [
    _column("State", "string", ".status.state", "State of the sweep."),
    _column("Runs", "integer", ".status.runs", "Runs that it has in all."),
    _column("Running", "integer", ".status.running", "Runs that are under way."),
    _column("Done", "integer", ".status.succeeded", "Runs that succeeded."),
    _column("Failed", "integer", ".status.failed", "Runs that failed."),
    AGE,
]
