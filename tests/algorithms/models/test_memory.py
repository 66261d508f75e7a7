"""Memory: whole sequences with resets inside are the steps one by one, and the cells are torch's."""

import numpy as np
import pytest
import torch
from torch import nn

from surreal.algorithms.models.blocks import initial
from surreal.algorithms.models.config import MemoryConfig
from surreal.algorithms.models.memory import Memory, Segments
from surreal.algorithms.types import Array

STEPS, COPIES, INPUTS, SIZE = 13, 5, 4, 6


def cell(kind: str) -> tuple[Memory, dict[str, Array]]:
    memory = Memory("memory", INPUTS, MemoryConfig.model_validate({"kind": kind, "size": SIZE}))
    return memory, initial(memory.parts, np.random.default_rng(0), "default")


def step_by_step(memory: Memory, parts: dict[str, Array], x: Array, state: Array, starts: Array) -> list[Array]:
    """The states after each step, by the acting cell."""
    step, states = memory.acting(parts), []
    for t in range(len(x)):
        state = np.where(starts[t][:, None], np.float32(0), state)
        _, state = step(x[t], state)
        states.append(state)
    return states


@pytest.mark.parametrize("kind", ["lstm", "gru"])
@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
def test_a_sequence_with_resets_inside_is_its_steps_one_by_one(kind: str, share: float) -> None:
    memory, parts = cell(kind)
    rng = np.random.default_rng(1)
    x = rng.standard_normal((STEPS, COPIES, INPUTS)).astype(np.float32)
    state = rng.standard_normal((COPIES, memory.state_size)).astype(np.float32)
    cut = rng.random((STEPS, COPIES)) < share
    starts = (rng.random((STEPS, COPIES)) < share) | np.concatenate([np.zeros((1, COPIES), bool), cut[:-1]])
    final = rng.standard_normal((int(cut.sum()), INPUTS)).astype(np.float32)
    states = step_by_step(memory, parts, x, state, starts)
    after = np.array([states[t][c] for t, c in zip(*np.nonzero(cut), strict=True)]).reshape(-1, memory.state_size)
    expected_final = memory.acting(parts)(final, after.astype(np.float32))[0] if len(final) else np.zeros((0, SIZE))
    rows = torch.from_numpy(np.concatenate([x.reshape(-1, INPUTS), final]))
    tensors = {name: torch.from_numpy(part) for name, part in parts.items()}
    found = memory.torch(tensors, rows, torch.from_numpy(state), Segments.of(starts, cut)).numpy()
    for t in range(STEPS):
        np.testing.assert_allclose(found[t * COPIES : (t + 1) * COPIES], states[t][:, :SIZE], atol=1e-6)
    np.testing.assert_allclose(found[STEPS * COPIES :], expected_final, atol=1e-6)


def test_the_cells_are_torchs() -> None:
    for kind, theirs in (("lstm", nn.LSTM(INPUTS, SIZE)), ("gru", nn.GRU(INPUTS, SIZE))):
        memory, parts = cell(kind)
        theirs.load_state_dict({name.removeprefix("memory."): torch.from_numpy(part) for name, part in parts.items()})
        x = np.random.default_rng(2).standard_normal((STEPS, COPIES, INPUTS)).astype(np.float32)
        zero, never = np.zeros((COPIES, memory.state_size), np.float32), np.zeros((STEPS, COPIES), np.bool_)
        with torch.no_grad():
            expected = theirs(torch.from_numpy(x))[0].numpy()
        states = step_by_step(memory, parts, x, zero, never)
        np.testing.assert_allclose(np.array(states)[..., :SIZE], expected, atol=1e-6)


def test_gradients_reach_back_to_the_reset_and_no_further() -> None:
    memory, parts = cell("lstm")
    x = torch.randn(STEPS, COPIES, INPUTS, generator=torch.Generator().manual_seed(0), requires_grad=True)
    starts = np.zeros((STEPS, COPIES), np.bool_)
    starts[4, 2] = True
    tensors = {name: torch.from_numpy(part) for name, part in parts.items()}
    state = torch.zeros(COPIES, memory.state_size)
    out = memory.torch(tensors, x.flatten(0, 1), state, Segments.of(starts))
    out[8 * COPIES + 2].sum().backward()
    assert x.grad is not None
    reached = x.grad[:, 2].abs().sum(-1) > 0
    assert reached.tolist() == [4 <= t <= 8 for t in range(STEPS)]
    assert not x.grad[:, [0, 1, 3, 4]].any()


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_a_forget_bias_keeps_a_cue_over_forty_steps_that_is_lost_without(kind: str) -> None:
    kept = {bias: difference_after_forty_steps(kind, bias) for bias in (0.0, 3.0)}
    assert kept[0.0] < 1e-6
    assert kept[3.0] > 1e-3


def difference_after_forty_steps(kind: str, bias: float) -> float:
    config = MemoryConfig.model_validate({"kind": kind, "size": 32, "forget_bias": bias})
    memory = Memory("memory", INPUTS, config)
    step = memory.acting(initial(memory.parts, np.random.default_rng(0), "orthogonal"))
    x, state = np.eye(2, INPUTS, dtype=np.float32), np.zeros((2, memory.state_size), np.float32)
    for _ in range(40):
        out, state = step(x, state)
        x = np.zeros_like(x)
    return float(np.abs(out[0] - out[1]).max())
