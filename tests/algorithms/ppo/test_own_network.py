"""A network of one's own learns by autograd, acts, is loaded from its checkpoint, and is checked before it is used."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from surreal.algorithms.environments.make import make_env
from surreal.algorithms.environments.spaces import Spaces
from surreal.algorithms.models.acting import make_policy
from surreal.algorithms.models.actor_critic import make_model, network_data
from surreal.algorithms.models.config import NetworkConfig
from surreal.algorithms.normalizers import Standardizer
from surreal.algorithms.policies import load_policy
from surreal.algorithms.ppo.update import Updater
from surreal.algorithms.recording.checkpoint import Checkpoint, Checkpoints
from surreal.algorithms.recording.policy_record import describe
from surreal.algorithms.rollouts.trajectories import trajectories
from surreal.protocol.errors import Fatal, InvalidInput
from tests.algorithms.ppo.samples import as_fragment, ppo

MODULE = """
import numpy as np

class Linear:
    def __init__(self, inputs, outputs, bias):
        self.inputs, self.outputs, self.bias = inputs, outputs, bias

    def initial(self, rng):
        return rng.normal(size=self.inputs * (self.outputs + 1)).astype(np.float32) * 0.1

    def policy(self, parameters, features):
        return features @ parameters.view(self.inputs, -1)[:, : self.outputs] + self.bias

    def value(self, parameters, features):
        return (features @ parameters.view(self.inputs, -1)[:, self.outputs :]).squeeze(-1)

def make(spaces, bias=0.0):
    return Linear(spaces.observation, spaces.action, bias)

def wide(spaces):
    return Linear(spaces.observation, spaces.action + 1, 0.0)

def raises(spaces):
    raise RuntimeError("no licence")
"""


@pytest.fixture
def module(tmp_path: Path) -> Path:
    (tmp_path / "own_nets.py").write_text(MODULE)
    return tmp_path


@pytest.mark.parametrize("discrete", [True, False])
def test_it_learns_acts_and_is_loaded_from_its_checkpoint(module: Path, discrete: bool) -> None:
    env = make_env("CartPole-v1" if discrete else "Pendulum-v1")
    config = ppo(network={"make": "own_nets:make", "bias": 0.5}, device="cpu", minibatch=16, epochs=2)
    shape = make_model(config.network, env.spaces, config.hidden, module)
    updater = Updater(shape, config, seed=1)
    before = updater.gradient.parameters()
    assert len(before) == shape.size == env.spaces.observation * (env.spaces.action + 1) + (not discrete)
    size = env.spaces.observation
    updater.update(
        trajectories([as_fragment(fragment(size, discrete))], Standardizer.identity(size), None), progress=0.0
    )
    after = updater.gradient.parameters()
    assert np.isfinite(after).all() and (after != before).any()
    data = network_data(config.network, config.hidden, shape)
    about = describe("ppo", env, {"id": "x"}, data, {"parameters": "updater.parameters"})
    env.close()
    statistics = Standardizer.identity(size).arrays()
    Checkpoints(module / "checkpoints", 1).save(Checkpoint(1, {"updater.parameters": after, **statistics}, {}, about))
    policy = make_policy(shape)
    policy.load(after)
    observations = np.random.default_rng(0).normal(size=(7, size)).astype(np.float32)
    best = policy.best(policy.forward(observations))
    # an output of 1 is the upper bound of Pendulum's torque, which is 2
    loaded = load_policy(module, code=module)(observations)
    np.testing.assert_allclose(loaded, best if discrete else np.clip(2 * best, -2, 2), rtol=1e-6)
    with pytest.raises(InvalidInput, match="Give code=FOLDER"):
        load_policy(module)


def fragment(size: int, discrete: bool) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    none = np.zeros((16, 4), dtype=bool)
    actions = rng.integers(0, 2, (16, 4)) if discrete else rng.normal(size=(16, 4, 1)).astype(np.float32)
    return {
        "observations": rng.normal(size=(17, 4, size)).astype(np.float32),
        "actions": actions,
        "log_probs": np.full((16, 4), -0.7, dtype=np.float32),
        "rewards": rng.normal(size=(16, 4)).astype(np.float32),
        "terminated": none,
        "truncated": none.copy(),
        "final": np.zeros((0, size), dtype=np.float32),
    }


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("own_nets:wide", r"own_nets\.py:20: .*policy returns \[3, 3\] for 3 observations, expected \[3, 2\]"),
        ("own_nets:raises", r"own_nets\.py:24: RuntimeError: no licence"),
        ("own_nets:mak", r"has no 'mak' \(did you mean 'make'\?\)"),
        ("own_net:make", r"there is no module 'own_net'"),
    ],
)
def test_what_does_not_work_is_named_with_file_and_line(module: Path, name: str, words: str) -> None:
    with pytest.raises(Fatal, match=r"spec\.algorithm\.config\.network: .*" + words):
        make_model(NetworkConfig(make=name), Spaces.flat(4, 2, True), [64], module)


def test_the_config_takes_a_name_or_settings_and_refuses_analytic_gradients() -> None:
    assert ppo(network="m:make").network.make == "m:make"
    assert ppo(network={"make": "m:make", "width": 3}).network.settings == {"width": 3}
    assert ppo(network=None).network.plain
    for wrong, words in (("make", "is no 'module:make'"), ("m:", "is no 'module:make'"), ({"width": 3}, "width")):
        with pytest.raises(ValidationError, match=words):
            ppo(network=wrong)
    with pytest.raises(ValidationError, match="needs gradients by autograd"):
        ppo(network="m:make", gradients="analytic")
