"""Acting on a GPU: outputs, actions and log-probabilities are those of numpy, alone and behind the inference role."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from surreal.algorithms.models import device_acting
from surreal.algorithms.models.acting import make_policy
from surreal.algorithms.models.device_acting import DevicePolicy, acting_policy
from surreal.algorithms.networks import Policy
from surreal.algorithms.r2d2.network import ValuePolicy
from tests.algorithms.gpu.device import DEVICE, NEEDS_GPU
from tests.algorithms.gpu.networks import NETWORKS, layout_of
from tests.algorithms.impala.samples import COPIES, impala
from tests.algorithms.inference.central import served
from tests.algorithms.models.samples import observed, vector
from tests.algorithms.r2d2.samples import collected, config

pytestmark = NEEDS_GPU


@pytest.fixture(autouse=True)
def on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU takes the policies of a GPU too."""
    if DEVICE == "cpu":
        monkeypatch.setattr(device_acting, "wants_gpu", lambda device: True)


def same_steps(gpu: Policy, plain: Policy, observations: list[Any]) -> None:
    """Fail unless both act equally step after step."""
    copies = len(observations[0]) if isinstance(observations[0], np.ndarray) else len(observations[0]["joints"])
    states = [plain.initial_state(copies)] * 2
    for step, rows in enumerate(observations):
        (found, following), (expected, kept) = gpu.advance(rows, states[0]), plain.advance(rows, states[1])
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
        noise = plain.noise(np.random.default_rng(step), expected.shape)
        actions = gpu.act(found, noise)
        np.testing.assert_allclose(actions, plain.act(expected, noise), rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(
            gpu.log_prob(found, actions), plain.log_prob(expected, actions), rtol=1e-3, atol=1e-3
        )
        actions = plain.best(expected)
        for policy, state in ((gpu, following), (plain, kept)):
            policy.noted(state, actions, np.ones(copies, np.float32))
        np.testing.assert_allclose(following, kept, rtol=1e-4, atol=1e-4)
        states = [following, kept]


@pytest.mark.parametrize("kind", [kind for kind in NETWORKS if kind != "gsde"])
def test_a_policy_on_a_gpu_acts_as_in_numpy(kind: str) -> None:
    layout = layout_of(kind)
    gpu, plain = acting_policy(layout, make_policy(layout)), make_policy(layout)
    assert isinstance(gpu, DevicePolicy) and gpu._network.device.type == DEVICE
    for seed in (0, 1):
        for policy in (gpu, plain):
            policy.load(vector(layout, seed))
        same_steps(gpu, plain, [observed(layout, 16, step) for step in range(4)])


def test_values_of_r2d2_on_a_gpu_are_those_of_numpy() -> None:
    layout, parameters, arrays = collected(config(), {"id": "CartPole-v1"})
    gpu, plain = acting_policy(layout, ValuePolicy(layout)), ValuePolicy(layout)
    for policy in (gpu, plain):
        policy.load(parameters)
    same_steps(gpu, plain, list(arrays["observations"][:6]))


@pytest.mark.parametrize(
    ("network", "env"),
    [
        ({}, {"id": "CartPole-v1"}),
        ({"network": {"encoder": "mlp", "std": "state", "squash": True}}, {"id": "Pendulum-v1"}),
        ({"network": {"memory": {"size": 6}}}, {"id": "CartPole-v1"}),
        (
            {"network": {"encoder": "small-cnn", "encoder_width": 8}},
            {"id": "tests.algorithms.environments.own.parts:Film"},
        ),
    ],
    ids=str,
)
def test_a_replica_on_a_gpu_answers_with_the_probabilities_of_numpy(
    folder: Path, network: dict[str, Any], env: dict[str, Any]
) -> None:
    with served(folder, impala(**network), env, COPIES) as (found, layout, parameters):
        assert isinstance(found.replica.answering.policy, DevicePolicy)
        fragment = found.rollout().collect(None, lambda: False)
    assert fragment is not None
    arrays, plain = fragment.arrays, make_policy(layout)
    plain.load(parameters)
    state = arrays["states"][0] if layout.state_size else plain.initial_state(COPIES)
    for step, actions in enumerate(arrays["actions"]):
        out, state = plain.advance(arrays["observations"][step], state)
        np.testing.assert_allclose(plain.log_prob(out, actions), arrays["log_probs"][step], rtol=1e-3, atol=1e-3)
        state[arrays["terminated"][step] | arrays["truncated"][step]] = 0
