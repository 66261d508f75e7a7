"""Fragments of real actors, of every kind of network: at equal weights the learner finds their probabilities again."""

from typing import Any

import numpy as np
import pytest

from surreal.algorithms.impala.gradients.autograd import Autograd
from surreal.algorithms.impala.update import Updater
from surreal.algorithms.rollouts.fragment import FragmentCheck
from surreal.algorithms.rollouts.state import State
from surreal.protocol.errors import Fatal
from tests.algorithms.impala.samples import COPIES, STEPS, collected, impala, learned_from

MEMORY = {"memory": {"kind": "lstm", "size": 6}}
CUT = {"id": "CartPole-v1", "wrappers": [{"time_limit": 5}]}
CASES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"id": "CartPole-v1"}),
    ({}, {"id": "Pendulum-v1"}),
    ({"network": {"encoder": "mlp"}}, CUT),
    ({"network": MEMORY}, CUT),
    ({"network": {**MEMORY, "std": "state"}}, {"id": "Pendulum-v1"}),
    ({"network": {"encoder": "small-cnn", "encoder_width": 8}}, {"id": "tests.algorithms.environments.own.parts:Film"}),
]


@pytest.mark.parametrize(("settings", "env"), CASES, ids=str)
def test_on_policy_no_ratio_is_off_one_and_a_step_moves_the_parameters(
    settings: dict[str, Any], env: dict[str, Any]
) -> None:
    config = impala(**settings, anneal=False)
    layout, vector, arrays = collected(config, env)
    updater = Updater(layout, config, 1)
    updater.gradient.load({**updater.arrays(), "parameters": vector})
    metrics = updater.update(learned_from(layout, arrays), 0.0)
    assert metrics["mean_ratio"] == pytest.approx(1.0, abs=1e-4)
    assert metrics["kl"] == pytest.approx(0.0, abs=1e-6)
    assert np.isfinite(list(metrics.values())).all() and updater.skipped == 0
    assert np.abs(updater.parameters() - vector).max() > 1e-4
    later = updater.update(learned_from(layout, arrays), 0.0)
    assert later["mean_ratio"] != pytest.approx(1.0, abs=1e-6)


def test_an_unroll_longer_than_its_episodes_is_learned_from_as_its_episodes_are() -> None:
    config = impala(network=MEMORY)
    layout, vector, (arrays, _) = collected(config, CUT)
    data = learned_from(layout, [arrays])
    assert data.done.sum() >= 2 * COPIES  # twelve steps of episodes of five
    engine = Autograd(layout, config, vector)
    targets = engine.loss(data)[1].targets.reshape(STEPS, COPIES)
    # A change of everything after the first end of an episode is no news to the steps before it.
    end = int(np.flatnonzero(data.done[:, 0])[0])
    data.rewards[end + 1 :, 0] += 100.0
    data.observations[end + 1 :, 0] += 1.0
    changed = engine.loss(data)[1].targets.reshape(STEPS, COPIES)
    np.testing.assert_allclose(changed[: end + 1, 0], targets[: end + 1, 0], atol=1e-5)
    assert np.abs(changed[end + 1 :, 0] - targets[end + 1 :, 0]).min() > 10
    np.testing.assert_allclose(changed[:, 1:], targets[:, 1:], atol=1e-5)


def test_recurrent_state_of_another_network_is_refused_in_words() -> None:
    layout, _, (arrays, _) = collected(impala(network=MEMORY), {"id": "CartPole-v1"})
    other = FragmentCheck(layout.spaces, STEPS, COPIES, (1, 20))
    assert other.problem(arrays) == "'states' of shape (1, 4, 12) and type float32, not (1, 4, 20) and float32"


def test_a_checkpoint_of_another_network_is_refused_in_words() -> None:
    layout, _, _ = collected(impala(), {"id": "CartPole-v1"}, fragments=1)
    other, _, _ = collected(impala(hidden=[16]), {"id": "CartPole-v1"}, fragments=1)
    config, wider = impala(), impala(hidden=[16])
    saved = State(other.spaces, wider, Updater(other, wider, 1)).checkpoint()
    with pytest.raises(Fatal, match=rf"network: .* {layout.size:,} parameters, and the checkpoint has {other.size:,}"):
        State(layout.spaces, config, Updater(layout, config, 1)).restore(saved)


def test_an_update_is_resumed_bit_for_bit() -> None:
    config = impala(network=MEMORY)
    layout, _, arrays = collected(config, {"id": "CartPole-v1"})
    first, second = Updater(layout, config, 1), Updater(layout, config, 2)
    first.update(learned_from(layout, arrays), 0.0)
    second.load({name: array.copy() for name, array in first.arrays().items()}, first.state())
    results = [each.update(learned_from(layout, arrays), 0.5) for each in (first, second)]
    assert results[0] == results[1]
    assert (first.parameters() == second.parameters()).all()
