"""State of a run on a dataset: what it makes of a batch before the engine has it."""

from dataclasses import replace

import numpy as np
import pytest

from surreal.algorithms.offline.config import IQLConfig
from surreal.algorithms.offline.state import State
from surreal.protocol.errors import Fatal
from tests.algorithms.offline.cases import batch, method


def test_scaled_rewards_are_learned_from_as_larger_ones_are() -> None:
    plain, config = method("iql"), method("iql").config
    assert isinstance(config, IQLConfig)
    scaled = replace(plain, config=config.model_copy(update={"reward_scale": 8.0}))
    b = batch("iql")
    arrays = {name: getattr(b, name) for name in ("observations", "actions", "discounts", "next_observations")}
    found = []
    for made, rewards in ((scaled, b.rewards), (plain, b.rewards * 8), (plain, b.rewards)):
        state = State(made, 1)
        state.learn({**arrays, "rewards": rewards}, b.weights)
        found.append(state.engine.arrays()["critics"])
    assert np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])


def test_an_algorithm_of_other_actions_names_those_that_learn_from_data() -> None:
    with pytest.raises(Fatal, match=r"'iql' takes Box actions, .* Choose bc or cql."):
        replace(method("iql"), spaces=method("bc-choices").spaces).shape()


@pytest.mark.parametrize("had", [True, False])
def test_networks_of_data_that_learned_from_numbers_of_another_scale_are_refused(had: bool) -> None:
    made = method("iql")
    first, other = (
        State(replace(made, config=made.config.model_copy(update={"normalize_observations": on})), 1)
        for on in (had, not had)
    )
    other.restore(first.checkpoint())  # nothing has been learned
    if had:
        first.see(batch("iql").observations)
    first.steps = 1
    with pytest.raises(Fatal, match=f"normalize_observations: the checkpoint learned with {str(had).lower()}, and its"):
        other.restore(first.checkpoint())
