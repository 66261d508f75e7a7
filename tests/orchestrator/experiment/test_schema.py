"""The JSON Schema for editors: the documents' spelling, and the config of every algorithm."""

from typing import Any

from surreal.algorithms.registry import algorithms
from surreal.orchestrator.experiment.experiment import Experiment
from surreal.orchestrator.experiment.load import experiment_schema


def definition(name: str) -> dict[str, Any]:
    found: dict[str, Any] = experiment_schema()["$defs"][name]
    return found


def test_every_key_of_a_complete_experiment_is_in_the_schema() -> None:
    data = Experiment.from_data(
        {"metadata": {"name": "x"}, "spec": {"env": {"id": "a:b"}, "algorithm": {"name": "ppo"}, "prometheus": {}}}
    )
    whole, spec = data.to_data(), data.to_data()["spec"]
    assert set(whole) == set(experiment_schema()["properties"])
    for name, part in {
        "Metadata": whole["metadata"],
        "ExperimentSpec": spec,
        "EnvSpec": spec["env"],
        "RoleSpec": spec["roles"]["actor"],
        "ResourcesSpec": spec["roles"]["actor"]["resources"],
        "ChannelSpec": spec["channels"]["weights"],
        "CheckpointSpec": spec["checkpoints"],
        "PrometheusSpec": spec["prometheus"],
        "ppo.config": spec["algorithm"]["config"],
    }.items():
        assert set(part) == set(definition(name)["properties"])
        assert definition(name)["additionalProperties"] is False


def test_only_what_has_no_default_is_required() -> None:
    assert experiment_schema()["required"] == ["metadata", "spec"]
    assert definition("ExperimentSpec")["required"] == ["env", "algorithm"]
    assert definition("AlgorithmSpec")["required"] == ["name"]
    assert "required" not in definition("RoleSpec")
    assert "required" not in definition("ChannelSpec")
    assert "required" not in definition("ResourcesSpec")


def test_each_algorithm_has_its_config_and_roles_under_its_name() -> None:
    conditions = definition("ExperimentSpec")["allOf"]
    assert [c["if"]["properties"]["algorithm"]["properties"]["name"]["const"] for c in conditions] == sorted(
        algorithms()
    )
    ppo = next(c["then"]["properties"] for c in conditions if "ppo" in str(c["if"]))
    assert ppo["roles"]["propertyNames"]["enum"] == ["learner", "actor", "evaluator", "inference", "weights-relay"]
    assert ppo["channels"]["propertyNames"]["enum"] == ["weights"]
    assert ppo["algorithm"]["properties"]["config"] == {"$ref": "#/$defs/ppo.config"}
    assert definition("ppo.config")["properties"]["learning_rate"]["description"]


def test_every_reference_has_its_definition() -> None:
    schema = experiment_schema()

    def references(node: Any) -> list[str]:
        if isinstance(node, dict):
            return [v for k, v in node.items() if k == "$ref"] + [r for v in node.values() for r in references(v)]
        return [r for item in node for r in references(item)] if isinstance(node, list) else []

    assert {r.removeprefix("#/$defs/") for r in references(schema)} <= set(schema["$defs"])


def test_quantities_may_be_numbers_or_texts() -> None:
    for key in ("cpu", "memory"):
        assert {choice["type"] for choice in definition("ResourcesSpec")["properties"][key]["anyOf"]} > {"string"}
