"""Runs of real processes with memory and images: they learn, evaluate, repeat, and leave a policy that loads."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from surreal.algorithms.policies import load_policy
from tests.algorithms.fabric import Run

pytestmark = pytest.mark.timeout(450)
SHORT = {"fragment_steps": 16, "minibatch": 32, "epochs": 2, "evaluate_episodes": 1, "device": "cpu"}
MEMORY = {"memory": {"kind": "gru", "size": 8}}


def finished(folder: Path, env: str, network: dict[str, Any], **config: Any) -> Any:
    """The newest policy of a run that ended well."""
    settings = {**SHORT, "total_steps": 256, "network": network, **config}
    with Run(folder, settings, actors=1, env=env) as run:
        run.start_all()
        assert run.workers["learner-0"].wait(200) == 0, run.log("learner-0")
        assert np.isfinite(run.rows("evaluator/0")[-1]["eval_return"])
        assert "parameters," in run.log("learner-0")
        assert run.rows()[-1]["skipped_minibatches"] == 0
    return load_policy(folder, "newest")


def test_a_policy_with_memory_and_a_camera_is_trained_evaluated_and_loaded(folder: Path) -> None:
    network = {**MEMORY, "encoders": {"camera": "small-cnn"}, "encoder_width": 6}
    policy = finished(folder, "parts:Robot", network, sequence_steps=8)
    assert policy.state_size == 8 and "camera" in policy.spaces.leaves
    rows = {name: np.zeros((2, *leaf.shape), leaf.dtype) for name, leaf in policy.spaces.leaves.items()}
    actions, state = policy.step(rows, policy.initial_state(2))
    assert len(actions) == 2 and state.any()


def test_a_recurrent_run_strictly_on_policy_repeats_bit_for_bit() -> None:
    found = []
    for _ in range(2):
        with tempfile.TemporaryDirectory(prefix="s") as path:
            policy = finished(Path(path), "CartPole-v1", MEMORY, max_staleness=0)
            rng, state = np.random.default_rng(0), policy.initial_state(64)
            for _ in range(3):
                _, state = policy.step(rng.standard_normal((64, 4)), state)
            found.append(state)
    assert (found[0] == found[1]).all()


@pytest.mark.parametrize(
    ("network", "words"),
    [
        ({"encoder": "nature-cnn"}, "spec.algorithm.config.network.encoder: 'nature-cnn' takes images"),
        ({"encoders": {"camera": "mlp"}}, "'camera' is no part of the observation"),
    ],
)
def test_a_network_that_does_not_fit_ends_a_run_in_one_sentence(folder: Path, network: Any, words: str) -> None:
    with Run(folder, {**SHORT, "network": network}, actors=1) as run:
        learner = run.start("learner")
        assert learner.wait(120) == 3
        assert words in run.log("learner-0") and "Traceback" not in run.log("learner-0")
