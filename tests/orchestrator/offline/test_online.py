"""From a dataset to an environment: what was learned offline goes on with actors."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

import surreal
from surreal.algorithms.environments.environment import Environment
from surreal.algorithms.offline.config import CQLConfig, TD3BCConfig
from surreal.algorithms.offline.method import Method
from surreal.algorithms.offline.state import State as Offline
from surreal.algorithms.offpolicy.config import DQNConfig, OffPolicyConfig, SACConfig, TD3Config
from surreal.algorithms.offpolicy.method import Method as OnlineMethod
from surreal.algorithms.offpolicy.state import State as Online
from surreal.algorithms.recording.checkpoint import Checkpoint, Checkpoints, load
from surreal.algorithms.recording.policy_record import describe
from surreal.algorithms.registry import algorithm
from surreal.orchestrator.experiment.experiment import Experiment
from surreal.orchestrator.starting_point import StartingPoint
from surreal.protocol.errors import InvalidInput

CASES: dict[str, tuple[str, str, TD3BCConfig | CQLConfig, OffPolicyConfig]] = {
    "td3": ("Pendulum-v1", "td3bc", TD3BCConfig(dataset="x", hidden=[8], device="cpu"), TD3Config(hidden=[8])),
    "sac": ("Pendulum-v1", "cql", CQLConfig(dataset="x", hidden=[8], device="cpu"), SACConfig(hidden=[8])),
    "dqn": ("CartPole-v1", "cql", CQLConfig(dataset="x", hidden=[8], device="cpu"), DQNConfig(hidden=[8])),
}


def trained(folder: Path, env_id: str, name: str, config: TD3BCConfig | CQLConfig) -> Offline:
    """Write a run folder with one checkpoint of an offline run; return its state."""
    made = gymnasium.make(env_id)
    env = Environment(made, env_id)
    state = Offline(Method(name, config, env.spaces), 1)
    state.see(np.random.default_rng(0).standard_normal((100, env.spaces.observation)) * 3 + 1)
    state.steps = 50
    about = describe(name, env, {"id": env_id}, state.method.shape().data())
    found = state.checkpoint()
    Checkpoints(folder / "checkpoints", 2).save(Checkpoint(50, found.arrays, found.state, about))
    (folder / "metrics").mkdir()
    made.close()
    return state


@pytest.mark.parametrize("name", CASES)
def test_a_checkpoint_of_data_goes_on_with_actors(tmp_path: Path, name: str) -> None:
    env_id, offline, config, online = CASES[name]
    before = trained(tmp_path / "run", env_id, offline, config)
    point = StartingPoint.find(str(tmp_path / "run"))
    wanted = Experiment("on", env_id, name, **{})
    start = point.prepare(wanted)
    (saved,) = start.glob("step-*")
    assert saved.name == "step-000000000000"
    assert isinstance(online, OffPolicyConfig)
    state = Online(OnlineMethod(name, online), before.method.spaces, 2)
    state.restore(load(saved))
    assert (state.steps, state.updates) == (0, 1)  # of version 0 actors act at random
    assert np.array_equal(state.engine.policy(), before.engine.policy())
    assert np.allclose(state.standardizer().shift, before.standardizer.shift)


def test_an_algorithm_of_other_networks_is_refused(tmp_path: Path) -> None:
    trained(tmp_path / "run", *CASES["td3"][:3])
    point = StartingPoint.find(str(tmp_path / "run"))
    with pytest.raises(InvalidInput, match="it was trained by 'td3bc', and spec.algorithm.name is 'ddpg'"):
        point.prepare(Experiment("on", "Pendulum-v1", "ddpg"))


@pytest.mark.parametrize(
    ("data", "actors", "problem"),
    [
        ({}, {}, ""),  # normalize_observations is true there and false here: the statistics of the data stay
        ({}, {"normalize_observations": True}, ""),
        (
            {"normalize_observations": False},
            {"normalize_observations": True},
            "normalize_observations: on learned with",
        ),
        ({}, {"hidden": [16]}, r"hidden: on learned with \[8\], not with \[16\], and a fork keeps that"),
        ({"layer_norm": True}, {}, "layer_norm: on learned with true, not with false, .* Set layer_norm: true"),
        ({"critics": 5}, {}, "algorithm.name: it has critics: 2, and on learned with 5. Begin without --from"),
    ],
)
def test_actors_go_on_with_the_networks_of_the_data_alone(
    tmp_path: Path, data: dict[str, Any], actors: dict[str, Any], problem: str
) -> None:
    trained(tmp_path / "on", *CASES["td3"][:3])
    config = {"dataset": "x", "hidden": [8], **data}
    (tmp_path / "on" / "experiment.yaml").write_text(
        Experiment("on", "Pendulum-v1", algorithm("td3bc")(**config)).to_yaml()
    )
    wanted = Experiment("go", "Pendulum-v1", surreal.TD3(**{"hidden": [8], **actors}))
    point = StartingPoint.find(str(tmp_path / "on"))
    point = replace(point, name="on")
    if not problem:
        assert point.prepare(wanted).is_dir()
        return
    with pytest.raises(InvalidInput, match=problem):
        point.prepare(wanted)
