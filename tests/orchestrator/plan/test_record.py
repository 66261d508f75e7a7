"""`spec.record` in a plan: which roles record, where, and what is refused before anything starts."""

from typing import Any

import pytest

from surreal.orchestrator.experiment.experiment import Experiment
from surreal.orchestrator.experiment.explain import explain
from surreal.orchestrator.plan.make import make_plan
from surreal.orchestrator.plan.model import Plan
from surreal.orchestrator.run.wiring import wire
from surreal.protocol.errors import InvalidInput
from tests.orchestrator.documents import minimal
from tests.orchestrator.plan.test_plan import LAPTOP, SMALL

VOLUME = {"name": "data", "claim": "shared", "mountPath": "/data", "readOnly": False}


class Nowhere:
    """Addresses that are never used."""

    def control(self) -> str:
        return "tcp://x:1"

    def channel(self, channel: Any, index: int) -> str:
        return "tcp://x:2"

    def relay(self, channel: Any, index: int) -> str:
        return "tcp://x:3"


def test_actors_record_and_share_the_bytes() -> None:
    document = minimal(record={"every": 4, "gigabytes": 3}, roles={"actor": {"replicas": 3}})
    plan = Plan.from_json(make_plan(Experiment.from_data(document), [LAPTOP]).to_json())
    assert any(note.startswith("one of 4 episodes of actor are recorded in datasets/") for note in plan.notes)
    wired = {role.name: wire(plan, role, plan.channels, Nowhere(), "").record for role in plan.roles}
    assert wired["actor"] == {"folder": "", "every": 4, "bytes": 10**9}
    assert wired["learner"] == wired["evaluator"] == {}


def test_nothing_is_recorded_without_the_key() -> None:
    plan = make_plan(Experiment.from_data(minimal()), [LAPTOP])
    assert plan.record is None
    assert all(wire(plan, role, plan.channels, Nowhere(), "").record == {} for role in plan.roles)


def test_an_algorithm_without_actors_cannot_record() -> None:
    document = minimal(record={}, algorithm={"name": "bc", "config": {"dataset": "x"}})
    with pytest.raises(InvalidInput, match="spec.record.*bc has no role that acts"):
        make_plan(Experiment.from_data(document), [LAPTOP])


def test_a_cluster_needs_a_folder_on_a_volume() -> None:
    with pytest.raises(InvalidInput, match=r"spec.record.folder.*is needed in a cluster"):
        make_plan(Experiment.from_data(minimal(record={})), [SMALL])
    record = {"folder": "/data/walks"}
    bare = make_plan(Experiment.from_data(minimal(record=record)), [SMALL])
    assert any("spec.record.folder: /data/walks is on no volume that actor may write" in each for each in bare.warnings)
    roles = {"actor": {"volumes": [VOLUME]}}
    mounted = make_plan(Experiment.from_data(minimal(record=record, roles=roles)), [SMALL])
    assert not any("spec.record" in each for each in mounted.warnings)
    roles = {"actor": {"volumes": [{**VOLUME, "readOnly": True}]}}
    fixed = make_plan(Experiment.from_data(minimal(record=record, roles=roles)), [SMALL])
    assert any("spec.record" in each for each in fixed.warnings)


def test_stepping_together_would_see_no_steps() -> None:
    env = {"id": "HalfCheetah-v5", "stepping": "batched"}
    with pytest.raises(InvalidInput, match="spec.record sees the steps of gymnasium alone"):
        make_plan(Experiment.from_data(minimal(record={}, env=env)), [LAPTOP])


def test_the_keys_are_explained() -> None:
    (found,) = explain("spec.record")
    assert found.keys == ("folder", "every", "gigabytes")
