"""Roles that fill the memory they ask for: a machine that has less of it is refused, at the role's line."""

from pathlib import Path

import pytest

from surreal.orchestrator.experiment.experiment import Experiment
from surreal.orchestrator.plan.make import make_plan
from surreal.protocol.errors import InvalidInput
from surreal.provisioner.pools.model import NodePool
from tests.orchestrator.documents import load_text

LAPTOP = NodePool(name="local", nodes=1, cpu=8, memory=16 * 2**30)
ALGORITHM = """
from surreal.algorithms import toolkit as tk
from surreal.algorithms.replay.config import EXPERIENCE, REPLAY, SAMPLE

OWN = tk.Algorithm(
    "own",
    tk.Config,
    [tk.Role("learner", "own:learner", ends_run=True), tk.Role("actor", "own:actor"), REPLAY],
    [EXPERIENCE, SAMPLE],
)
"""
EXPERIMENT = """
apiVersion: surreal.dev/v1alpha1
kind: Experiment
metadata: {{name: filled}}
spec:
  algorithm: {{name: own:OWN}}
  env: {{id: CartPole-v1}}
  roles:
    replay: {{replicas: {replicas}, resources: {{memory: {memory}}}}}
"""


def experiment(folder: Path, replicas: int, memory: str) -> Experiment:
    (folder / "own.py").write_text(ALGORITHM)
    return load_text(folder, EXPERIMENT.format(replicas=replicas, memory=memory))


def test_shards_that_fill_more_than_this_machine_has_are_refused_at_their_line(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"experiment.yaml:9: .*memory.*filled by each of 5 processes: 20.0Gi, and"):
        make_plan(experiment(tmp_path, 5, "4Gi"), [LAPTOP])


def test_shards_that_fit_are_planned_with_their_memory(tmp_path: Path) -> None:
    plan = make_plan(experiment(tmp_path, 3, "4Gi"), [LAPTOP])
    assert plan.role("replay").resources.memory == 4 * 2**30


def test_one_shard_larger_than_the_machine_has_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as refused:
        make_plan(experiment(tmp_path, 1, "17Gi"), [LAPTOP])
    assert str(refused.value).count("memory") == 1
