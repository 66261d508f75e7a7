"""PPO's gradient by torch's autograd: any network on any device, one flat parameter, fused Adam."""

from typing import Any

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor

from surreal.algorithms.devices import pick_device
from surreal.algorithms.models.distributions import log_prob, masked, parted
from surreal.algorithms.models.learning import Bound
from surreal.algorithms.models.memory import Memories
from surreal.algorithms.models.optimizers import BETA1, BETA2, EPSILON
from surreal.algorithms.networks import Layout
from surreal.algorithms.ppo import loss
from surreal.algorithms.ppo.batch import Batch, Minibatch
from surreal.algorithms.ppo.config import PPOConfig
from surreal.algorithms.ppo.gradients.base import Rates, Stats, StepSizes
from surreal.algorithms.rollouts.trajectories import Trajectories
from surreal.algorithms.types import Array
from surreal.protocol.profiling.spans import NUMERIC, Operation, operation


class Autograd:
    """See base.Gradient."""

    def __init__(self, layout: Layout, config: PPOConfig, vector: Array, index: int = 0) -> None:
        config, self._device = config.of(layout), pick_device(config.device, index)
        self._config, self._choices = config, layout.spaces.choices
        self.clip, self.entropy_coef = config.clip, config.entropy_coef
        self._network = Bound(layout, vector, self._device, config.precision, config.compile)
        self._vector = self._network.vector
        self._adam = torch.optim.Adam([self._vector], lr=1.0, betas=(BETA1, BETA2), eps=EPSILON, fused=True)
        self._sizes = StepSizes(layout, config)
        self._rates: Rates | None = None
        self._size, self._before = 0.0, torch.empty_like(self._vector.detach())
        self._back: Tensor | None = None
        """Share of a step of the largest size that each parameter goes back; None where all sizes are the same."""
        self._skipped = torch.zeros((), device=self._device)

    def place(self, array: Array) -> Tensor:
        """See base.Gradient."""
        return torch.as_tensor(np.ascontiguousarray(array), device=self._device)

    def batch(self, data: Trajectories) -> Batch:
        """See base.Gradient."""
        return Batch(data, self.place)

    def values(self, rows: Any, memories: Memories | None = None) -> Array:
        """See base.Gradient."""
        return self.estimates(rows, memories)[1]

    def estimates(self, rows: Any, memories: Memories | None = None) -> tuple[Array, Array]:
        """See base.Gradient."""
        out, values = self._network.estimates(self._placed(rows), memories)
        return np.asarray(out.cpu().numpy()), np.asarray(values.cpu().numpy())

    def _placed(self, rows: Any) -> Any:
        return self.place(rows) if isinstance(rows, np.ndarray) else rows

    def loss(self, minibatch: Minibatch, beta: float) -> loss.Terms:
        """Return the whole loss of one minibatch, differentiable in the parameters."""
        config = self._config
        out, values = self._network.outputs(minibatch.observations, minibatch.memories)
        mean, log_std = self._distribution(masked(out, minibatch.masks))
        log_probs, entropies = log_prob(mean, log_std, minibatch.actions, self._choices)
        advantages = minibatch.advantages
        if config.normalize_advantages:
            advantages = (advantages - advantages.mean()) / (advantages.std(correction=0) + 1e-8)
        log_ratio = log_probs - minibatch.log_probs
        ratio = log_ratio.exp()
        if config.objective == "clip":
            policy = loss.clipped_surrogate(ratio, advantages, self.clip)
        else:
            policy = -(ratio * advantages).mean() + self._penalty(minibatch, mean, log_std, beta)
        value = loss.value_loss(values, minibatch.returns, minibatch.values, config.value_clip)
        entropy = entropies.mean()
        total = policy + config.value_coef * value - self.entropy_coef * entropy
        kl, clipped = (ratio - 1 - log_ratio).mean(), ((ratio - 1).abs() > self.clip).float().mean()
        return loss.Terms(total, policy, value, entropy, kl.detach(), clipped)

    def _distribution(self, out: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return logits and None, or means and log standard deviations."""
        return parted(out, self._network.log_std, self._choices)

    def _penalty(self, minibatch: Minibatch, mean: Tensor, log_std: Tensor | None, beta: float) -> Tensor:
        assert minibatch.reference is not None and self._config.target_kl is not None
        if log_std is None:
            kl = loss.categorical_kl(minibatch.reference, mean, self._choices)
        else:
            mean0, log_std0 = minibatch.reference.chunk(2, dim=-1)
            kl = loss.gaussian_kl(mean0, log_std0, mean, log_std)
        return loss.kl_penalty(kl, beta, self._config.target_kl)

    def step(self, minibatch: Minibatch, rates: Rates, beta: float, stats: Stats | None) -> None:
        """See base.Gradient."""
        self.differentiate(minibatch, beta, stats)
        self.apply(rates)

    def differentiate(self, minibatch: Minibatch, beta: float, stats: Stats | None) -> Tensor:
        """See base.Gradient. The device is waited for only where `stats` are wanted."""
        with operation("forward", NUMERIC):
            terms = self.loss(minibatch, beta)
        gradient = self._vector.grad
        assert gradient is not None
        with operation("backward", NUMERIC):
            gradient.zero_()
            terms.total.backward()
        if stats:
            parts = (terms.policy, terms.value, terms.entropy, terms.kl, terms.clipped)
            stats.add(*torch.stack(parts).tolist())
        return gradient

    def apply(self, rates: Rates) -> None:
        """See base.Gradient."""
        gradient = self._vector.grad
        assert gradient is not None
        norm = torch.linalg.vector_norm(gradient)
        broken = (~torch.isfinite(norm)).float()
        if self._config.max_grad_norm is not None:
            gradient.mul_(torch.clamp(self._config.max_grad_norm / (norm + 1e-6), max=1.0))
        # The fused step does nothing where this is 1, as GradScaler uses it.
        self._adam.found_inf = broken  # type: ignore[attr-defined]
        with operation("optimizer", NUMERIC):
            self._steps(rates)
        self._skipped += broken

    def _steps(self, rates: Rates) -> None:
        """Take a step of the largest size, and go back a part of the way where the size is smaller.

        torch has one step size for a tensor, which all parameters are in, and a step is linear in it.
        """
        if rates != self._rates:
            self._rates = rates
            sizes = self._sizes.of(rates)
            self._size = float(sizes.max())
            same = self._size == float(sizes.min())
            self._back = None if same else self.place(1 - sizes / np.float32(self._size))
        self._adam.param_groups[0]["lr"] = self._size
        if self._back is None:
            self._adam.step()
            return
        vector = self._vector.detach()
        self._before.copy_(vector)
        self._adam.step()
        vector.lerp_(self._before, self._back)

    def epoch(self, batch: Batch, rng: Generator, rates: Rates, beta: float, stats: Stats | None) -> None:
        """See base.Gradient."""
        for minibatch in batch.shuffled(rng, self._config.minibatch):
            self.step(minibatch, rates, beta, stats)

    def tell(self, span: Operation) -> None:
        """See base.Gradient: they are operations of their own."""

    def skipped(self) -> int:
        """See base.Gradient."""
        found = int(self._skipped.item())
        self._skipped.zero_()
        return found

    def parameters(self) -> Array:
        """See base.Gradient."""
        return self._network.array()

    def arrays(self) -> dict[str, Array]:
        """See base.Gradient."""
        state = self._adam.state[self._vector]
        zero = torch.zeros_like(self._vector)
        moments = {"moment1": state.get("exp_avg", zero), "moment2": state.get("exp_avg_sq", zero)}
        arrays = {name: np.array(moment.detach().cpu().numpy()) for name, moment in moments.items()}
        return {"parameters": self.parameters(), "adam_steps": np.array([int(state.get("step", 0))]), **arrays}

    def load(self, arrays: dict[str, Array]) -> None:
        """See base.Gradient."""
        with torch.no_grad():
            self._vector.copy_(self.place(arrays["parameters"]))
        self._adam.state.pop(self._vector, None)
        if int(arrays["adam_steps"][0]) == 0:
            return
        self._adam.state[self._vector] = {
            "step": torch.tensor(float(arrays["adam_steps"][0]), device=self._device),
            "exp_avg": self.place(arrays["moment1"]).clone(),
            "exp_avg_sq": self.place(arrays["moment2"]).clone(),
        }
