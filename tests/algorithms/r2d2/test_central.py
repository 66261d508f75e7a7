"""R2D2 with central inference: what an actor sends to replay is what a policy of its own would have remembered."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from surreal.algorithms.acting.weights import Weights
from surreal.algorithms.environments.spaces import Spaces
from surreal.algorithms.normalizers import Standardizer
from surreal.algorithms.r2d2.graph import R2D2
from surreal.algorithms.r2d2.network import ValuePolicy, make_layout
from surreal.protocol.worker.process import Process
from surreal.protocol.worker.session import Session
from tests.algorithms.fabric import Run
from tests.algorithms.r2d2.samples import STEPS, config, filled
from tests.algorithms.r2d2.test_roles import SHORT

CENTRAL = R2D2.arranged({"inference": "central"})
COPIES = 4


def test_states_follow_from_what_was_really_done_and_actors_explore_by_themselves(folder: Path) -> None:
    settings = config(inference="central", epsilon=0.9, epsilon_ladder=0.0)
    layout = make_layout(settings, Spaces.flat(4, 2, discrete=True))
    vector = layout.initial(np.random.default_rng(0)).astype(np.float32)
    policy, fragments = ValuePolicy(layout), list[dict[str, Any]]()
    policy.load(vector)
    with (
        Run(folder, settings.model_dump(), algorithm=CENTRAL) as run,
        Session(run._wiring("learner", 0, 1)) as learner,
        Session(run._wiring("replay", 0, 1)) as replay,
    ):
        receiver = Process(replay).receiver("experience")
        Process(learner).receiver("episodes")
        weights = Weights((1, 0), vector, Standardizer.identity(4), 0, False)
        weights.publish(Process(learner).publisher("weights"))
        run.start("inference")
        run.start("actor")
        while len(fragments) < 3:
            message = receiver.recv(timeout=120)
            assert message is not None, run.log("actor-0") + run.log("inference-0")
            fragments.append(message.arrays)
    greedy = []
    for arrays in fragments:
        assert set(arrays) == {"observations", "final", "actions", "rewards", "terminated", "truncated", "states"}
        assert arrays["states"].shape == (STEPS, COPIES, layout.state_size)
        for t in range(STEPS):
            values, state = policy.advance(arrays["observations"][t], np.array(arrays["states"][t]))
            greedy.append(policy.best(values) == arrays["actions"][t])
            policy.noted(state, arrays["actions"][t], arrays["rewards"][t])
            state[arrays["terminated"][t] | arrays["truncated"][t]] = 0.0
            if t + 1 < STEPS:
                np.testing.assert_allclose(arrays["states"][t + 1], state, atol=1e-5)
    # a random one of two choices in nine of ten steps
    assert 0.4 < np.mean(greedy) < 0.7
    assert filled(settings, fragments[0]).items > 0


@pytest.mark.slow
def test_a_run_with_central_inference_ends_with_success(folder: Path) -> None:
    settings = {**SHORT, "inference": "central", "total_steps": 2_000}
    with Run(folder, settings, 2, algorithm=CENTRAL) as run:
        run.start_all()
        assert run.workers["learner-0"].wait(120) == 0, run.log("learner-0")
        assert run.rows()[-1]["gradient_steps"] > 5
