"""IMPALA's gradient by torch's autograd: any network on any device, one flat parameter."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from surreal.algorithms.devices import pick_device
from surreal.algorithms.impala.config import Decided, IMPALAConfig
from surreal.algorithms.impala.gradients.base import DECAY, Corrected, correct, reported
from surreal.algorithms.models.distributions import log_prob, masked, parted
from surreal.algorithms.models.learning import Bound, tensors_of
from surreal.algorithms.models.memory import Memories
from surreal.algorithms.models.optimizers import BETA1, BETA2
from surreal.algorithms.networks import Layout
from surreal.algorithms.rollouts.trajectories import Trajectories
from surreal.algorithms.types import Array
from surreal.protocol.profiling.spans import NUMERIC, operation

STATE = {"rmsprop": {"square": "square_avg"}, "adam": {"moment1": "exp_avg", "moment2": "exp_avg_sq"}}
"""Optimizer -> name in a checkpoint -> name in torch's state."""


class Autograd:
    """See base.Gradient."""

    def __init__(self, layout: Layout, config: IMPALAConfig, vector: Array) -> None:
        config = config.of(layout)
        self._device, self._config = pick_device(config.device), config
        self._choices, self._remembers = layout.spaces.choices, bool(layout.state_size)
        self._network = Bound(layout, vector, self._device, config.precision, config.compile)
        self._optimizer = _optimizer(config, self._network.vector)

    def step(self, data: Trajectories, rate: float) -> dict[str, float]:
        """See base.Gradient. The device is waited for twice: V-trace and the size of the gradient are the CPU's."""
        with operation("forward", NUMERIC):
            total, constants, parts = self.loss(data)
        gradient = self._network.vector.grad
        assert gradient is not None
        with operation("backward", NUMERIC):
            gradient.zero_()
            total.backward()
        norm = float(torch.linalg.vector_norm(gradient))
        taken = bool(np.isfinite(norm))
        if taken:
            limit = self._config.max_grad_norm
            if limit is not None and norm > limit:
                gradient.mul_(limit / (norm + 1e-6))
            self._optimizer.param_groups[0]["lr"] = rate
            with operation("optimizer", NUMERIC):
                self._optimizer.step()
        policy, value, entropy = parts.tolist()
        return reported(constants, policy, value, entropy, taken)

    def loss(self, data: Trajectories) -> tuple[Tensor, Corrected, Tensor]:
        """Return the whole loss, the constants in it, and its three parts: policy, value, entropy."""
        config, n = self._config, data.transitions
        memories = Memories(self._place(data.states[0]), data.segments()) if data.states is not None else None
        out, values = self._network.outputs(tensors_of(data.rows(), self._device), memories)
        mask = None if data.masks is None else self._place(data.masks[:-1].reshape(n, -1))
        mean, log_std = parted(masked(out[:n], mask), self._network.log_std, self._choices)
        actions = self._place(data.actions.reshape(n, *data.actions.shape[2:]))
        log_probs, entropies = log_prob(mean, log_std, actions, self._choices)
        constants = correct(config, data, _numbers(log_probs), _numbers(values))
        policy = -(self._place(constants.advantages) * log_probs).mean()
        value = (values[:n] - self._place(constants.targets)).square().mean()
        entropy = entropies.mean()
        total = policy + config.value_coef * value - config.entropy_coef * entropy
        return total, constants, torch.stack([policy, value, entropy]).detach()

    def _place(self, array: Array) -> Tensor:
        return torch.as_tensor(np.ascontiguousarray(array), device=self._device)

    def parameters(self) -> Array:
        """See base.Gradient."""
        return self._network.array()

    def arrays(self) -> dict[str, Array]:
        """See base.Gradient."""
        vector = self._network.vector
        state, zero = self._optimizer.state[vector], torch.zeros_like(vector)
        names = STATE[self._config.optimizer].items()
        found = {name: np.array(_numbers(state.get(theirs, zero))) for name, theirs in names}
        steps = np.array([int(state.get("step", 0))])
        return {"parameters": self.parameters(), f"{self._config.optimizer}_steps": steps, **found}

    def load(self, arrays: dict[str, Array]) -> None:
        """See base.Gradient."""
        self._network.load(arrays["parameters"])
        steps = float(arrays[f"{self._config.optimizer}_steps"][0])
        if not steps:
            return
        names = STATE[self._config.optimizer].items()
        state: dict[str, Any] = {theirs: self._place(arrays[name]).clone() for name, theirs in names}
        self._optimizer.state[self._network.vector] = {"step": torch.tensor(steps), **state}


def _numbers(tensor: Tensor) -> Array:
    return np.asarray(tensor.detach().cpu().numpy())


def _optimizer(config: Decided, vector: Tensor) -> torch.optim.Optimizer:
    epsilon = config.optimizer_epsilon
    if config.optimizer == "adam":
        return torch.optim.Adam([vector], lr=1.0, betas=(BETA1, BETA2), eps=epsilon)
    return torch.optim.RMSprop([vector], lr=1.0, alpha=DECAY, eps=epsilon)
