"""The definitions of Experiment and Sweep: they say what the models say, in the dialect of API servers."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from surreal.cli.main import cli
from surreal.orchestrator.experiment.model import ExperimentSpec
from surreal.orchestrator.operator.crd.definitions import definitions
from surreal.orchestrator.operator.crd.status import CONDITIONS
from surreal.orchestrator.operator.crd.structural import INT_OR_STRING, OPEN, structural
from surreal.orchestrator.sweeps.model import SweepSpec
from surreal.protocol.documents.locations import Source
from surreal.protocol.documents.yaml import load
from surreal.provisioner.kube.kinds import KINDS

ROOT = Path(__file__).parents[3]
EXPERIMENT, SWEEP = definitions()
FORBIDDEN = {"$ref", "$defs", "title", "const", "oneOf", "allOf", "if", "then", "examples"}


def schema(definition: dict[str, Any], *path: str) -> dict[str, Any]:
    """The node of a key."""
    found: dict[str, Any] = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for key in path:
        found = found["additionalProperties"] if key == "*" else found["properties"][key]
    return found


def nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All nodes below one, and it."""
    yield node
    inner = [*node.get("properties", {}).values()]
    inner += [node[key] for key in ("items", "additionalProperties") if isinstance(node.get(key), dict)]
    for each in inner:
        yield from nodes(each)


@pytest.mark.parametrize("definition", [EXPERIMENT, SWEEP], ids=["Experiment", "Sweep"])
def test_every_node_has_one_type_and_no_word_that_servers_refuse(definition: dict[str, Any]) -> None:
    for node in nodes(schema(definition)):
        assert ("type" in node) + node.get(OPEN, False) + node.get(INT_OR_STRING, False) == 1 or (
            node.get("type") == "object" and OPEN in node
        ), node
        assert not FORBIDDEN & node.keys(), node
        assert not ("properties" in node and "additionalProperties" in node), node


@pytest.mark.parametrize("definition", [EXPERIMENT, SWEEP], ids=["Experiment", "Sweep"])
def test_what_rules_compare_is_bounded_so_that_their_cost_is(definition: dict[str, Any]) -> None:
    for node in nodes(schema(definition, "spec")):
        if node.get("type") == "string":
            assert {"maxLength", "enum", "pattern"} & node.keys(), node
        if node.get("type") == "array":
            assert "maxItems" in node, node
        if "additionalProperties" in node:
            assert "maxProperties" in node, node


def test_it_has_every_key_of_the_file_and_the_two_of_a_resource() -> None:
    keys = {field.alias for field in ExperimentSpec.model_fields.values()}
    assert schema(EXPERIMENT, "spec")["properties"].keys() == keys | {"suspend", "replicas"}
    keys = {field.alias for field in SweepSpec.model_fields.values()}
    assert schema(SWEEP, "spec")["properties"].keys() == keys | {"suspend"}


def test_defaults_are_those_of_the_models_without_null() -> None:
    spec = schema(EXPERIMENT, "spec")["properties"]
    assert spec["seed"]["default"] == 1
    assert spec["storage"]["default"] == {"kind": "auto", "size": "10Gi"}
    assert "default" not in spec["image"]
    assert schema(EXPERIMENT, "spec", "env")["properties"]["copies"]["default"] == 8


def test_a_number_or_a_text_is_neither_list_nor_object() -> None:
    cpu = schema(EXPERIMENT, "spec", "roles", "*", "resources", "cpu")
    assert (cpu[OPEN], cpu["maxItems"], cpu["maxProperties"]) == (True, 0, 0)
    assert (cpu["minimum"], cpu["exclusiveMinimum"]) == (0, True)
    assert schema(EXPERIMENT, "spec", "roles", "*", "resources", "memory")[INT_OR_STRING] is True


def test_each_key_that_cannot_change_has_a_rule_with_the_reason() -> None:
    rules = schema(EXPERIMENT, "spec")["x-kubernetes-validations"]
    locked = {rule["fieldPath"][1:] for rule in rules if "oldSelf" in rule["rule"]}
    free = schema(EXPERIMENT, "spec")["properties"].keys() - locked
    assert free == {"suspend", "replicas", "roles", "ttlSecondsAfterFinished"}
    assert all("of a run does not change" in rule["message"] for rule in rules if "oldSelf" in rule["rule"])


def test_rules_keep_to_functions_that_every_supported_version_knows() -> None:
    for definition in (EXPERIMENT, SWEEP):
        for node in nodes(schema(definition)):
            for rule in node.get("x-kubernetes-validations", ()):
                called = set(re.findall(r"(\w+)\(", rule["rule"]))
                assert called <= {"has", "all", "matches", "exists_one"}, rule["rule"]


def test_scale_reads_paths_that_have_values() -> None:
    scale = EXPERIMENT["spec"]["versions"][0]["subresources"]["scale"]
    path = scale["specReplicasPath"].strip(".").split(".")
    # without a default, GET of a scale without replicas is an internal error
    assert schema(EXPERIMENT, *path)["default"] == 0
    for key in ("statusReplicasPath", "labelSelectorPath"):
        assert schema(EXPERIMENT, *scale[key].strip(".").split("."))


def test_the_status_has_conditions_by_type_and_the_generation_it_is_about() -> None:
    for definition in (EXPERIMENT, SWEEP):
        status = schema(definition, "status")["properties"]
        assert status["conditions"]["x-kubernetes-list-map-keys"] == ["type"]
        assert "observedGeneration" in status
        assert definition["spec"]["versions"][0]["subresources"]["status"] == {}
    assert {"Succeeded", "Failed"} <= CONDITIONS.keys()


def test_columns_show_fields_that_the_status_has() -> None:
    for definition in (EXPERIMENT, SWEEP):
        for column in definition["spec"]["versions"][0]["additionalPrinterColumns"]:
            path = column["jsonPath"].strip(".").split(".")
            if path[0] == "status":
                assert schema(definition, *path)["type"] == column["type"]


def test_the_kinds_are_where_the_client_looks_for_them() -> None:
    for definition in (EXPERIMENT, SWEEP):
        spec = definition["spec"]
        kind = KINDS[spec["names"]["kind"]]
        assert (kind.group, kind.plural) == (spec["group"], spec["names"]["plural"])
        assert kind.version.endswith(spec["versions"][0]["name"])


def test_the_command_prints_what_the_chart_installs() -> None:
    said = CliRunner().invoke(cli, ["schema", "crd"])
    assert said.exit_code == 0
    documents = [load(text, Source())[0] for text in said.output.split("---\n")]
    assert documents == [EXPERIMENT, SWEEP]
    chart = ROOT / "charts" / "surreal" / "files" / "crds.yaml"
    assert chart.read_text() == said.output, "surreal schema crd > charts/surreal/files/crds.yaml"


def test_a_reference_keeps_what_is_said_beside_it() -> None:
    made = structural(
        {
            "$defs": {"Inner": {"type": "object", "description": "old", "properties": {"a": {"type": "boolean"}}}},
            "type": "object",
            "properties": {"x": {"$ref": "#/$defs/Inner", "description": "new", "default": {"a": None}}},
        }
    )
    inner = {"type": "boolean"}
    assert made["properties"]["x"] == {
        "description": "new",
        "type": "object",
        "properties": {"a": inner},
        "default": {},
    }
