"""The device that a config asks for reaches the engine of every algorithm that learns from data."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from surreal.algorithms.offline import method as methods
from surreal.algorithms.offline.updates.byhand import ConservativeValues
from surreal.algorithms.offline.updates.conservative import ConservativeChoices
from surreal.algorithms.offpolicy.updates.base import Engine
from surreal.protocol.errors import Fatal
from tests.algorithms.offline.cases import CASES, batch, method

WITH_DEVICE = [case for case, (_, config, _) in CASES.items() if "device" in type(config).model_fields]


def engine_on(case: str, device: Any) -> Engine:
    made = method(case)
    return replace(made, config=made.config.model_copy(update={"device": device})).engine(np.random.default_rng(0))


@pytest.mark.parametrize("case", WITH_DEVICE)
def test_a_learner_that_is_to_have_a_gpu_does_not_compute_without_one(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(Fatal, match="device: 'cuda' needs a GPU"):
        engine_on(case, "cuda")


def test_cql_for_choices_makes_the_updates_by_torch_that_it_makes_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    byhand = engine_on("cql-choices", "cpu")
    monkeypatch.setattr(methods, "wants_gpu", lambda device: True)
    torched = engine_on("cql-choices", "cpu")
    assert isinstance(byhand, ConservativeValues) and isinstance(torched, ConservativeChoices)
    before = byhand.policy()
    assert np.array_equal(before, torched.policy())
    for number in range(4):
        b = batch("cql-choices", seed=number)
        told = [made.critic_step(b, 1e-3) for made in (byhand, torched)]
        assert told[1][0] == pytest.approx(told[0][0], rel=1e-3, abs=1e-5)
        assert told[1][1]["critic_loss"] == pytest.approx(told[0][1]["critic_loss"], rel=1e-3)
        for made in (byhand, torched):
            made.move_targets(0.2)
    assert np.abs(byhand.policy() - before).max() > 1e-3
    for name, array in byhand.arrays().items():
        assert np.allclose(torched.arrays()[name], array, rtol=1e-3, atol=2e-5), name
    again = engine_on("cql-choices", "cpu")
    again.load(byhand.arrays())
    assert np.array_equal(again.policy(), byhand.policy())
