"""PPO's gradient by torch's autograd: any device, one flat parameter, fused Adam."""

from math import prod

import numpy as np
import torch
from torch import Tensor

from surreal.algorithms.devices import pick_device
from surreal.algorithms.networks import Shape
from surreal.algorithms.ppo import loss
from surreal.algorithms.ppo.batch import Minibatch
from surreal.algorithms.ppo.config import PPOConfig
from surreal.algorithms.ppo.gradients.analytic import BETA1, BETA2, EPSILON
from surreal.algorithms.ppo.gradients.base import Stats
from surreal.algorithms.ppo.own_network import OwnShape
from surreal.algorithms.types import Array


class Autograd:
    """See base.Gradient."""

    def __init__(self, shape: Shape, config: PPOConfig, vector: Array) -> None:
        self._device = pick_device(config.device)
        self._config, self._shape = config, shape
        self._vector = torch.tensor(vector, dtype=torch.float32, device=self._device, requires_grad=True)
        self._adam = torch.optim.Adam([self._vector], lr=1.0, betas=(BETA1, BETA2), eps=EPSILON, fused=True)

    def _parts(self) -> dict[str, Tensor]:
        pieces = self._vector.split([prod(shape) for shape in self._shape.parts.values()])
        return {name: piece.view(shape) for (name, shape), piece in zip(self._shape.parts.items(), pieces, strict=True)}

    def _outputs(self, observations: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return means or logits [n, action], values [n], log_std [action] or None."""
        parts = self._parts()
        if isinstance(self._shape, OwnShape):
            network, own = self._shape.network, parts["own"]
            return network.policy(own, observations), network.value(own, observations), parts.get("log_std")
        x = observations.unsqueeze(0)
        for layer in range(len(self._shape.hidden)):
            x = torch.tanh(x @ parts[f"weight{layer}"] + parts[f"bias{layer}"])
        policy, value = x.unbind(0) if len(x) == 2 else (x[0], x[0])
        out = policy @ parts["policy.weight"] + parts["policy.bias"]
        return out, (value @ parts["value.weight"] + parts["value.bias"]).squeeze(-1), parts.get("log_std")

    def _tensor(self, array: Array) -> Tensor:
        return torch.tensor(array, device=self._device)

    @torch.no_grad()
    def values(self, observations: Array) -> Array:
        """See base.Gradient."""
        return np.asarray(self._outputs(self._tensor(observations))[1].cpu().numpy())

    @torch.no_grad()
    def policy(self, observations: Array) -> Array:
        """See base.Gradient."""
        return np.asarray(self._outputs(self._tensor(observations))[0].cpu().numpy())

    def loss(self, minibatch: Minibatch, beta: float) -> loss.Terms:
        """Return the whole loss of one minibatch, differentiable in the parameters."""
        config = self._config
        out, values, log_std = self._outputs(self._tensor(minibatch.observations))
        actions, advantages = self._tensor(minibatch.actions), self._tensor(minibatch.advantages)
        if log_std is None:
            out = loss.masked(out, None if minibatch.masks is None else self._tensor(minibatch.masks))
            log_probs, entropies = loss.categorical(out, actions, self._shape.spaces.choices)
        else:
            log_probs, entropies = loss.gaussian(out, log_std, actions)
        if config.normalize_advantages:
            advantages = (advantages - advantages.mean()) / (advantages.std(correction=0) + 1e-8)
        log_ratio = log_probs - self._tensor(minibatch.log_probs)
        ratio = log_ratio.exp()
        if config.objective == "clip":
            policy = loss.clipped_surrogate(ratio, advantages, config.clip)
        else:
            policy = -(ratio * advantages).mean() + self._penalty(minibatch, out, log_std, beta)
        returns, before = self._tensor(minibatch.returns), self._tensor(minibatch.values)
        value = loss.value_loss(values, returns, before, config.value_clip)
        entropy = entropies.mean()
        total = policy + config.value_coef * value - config.entropy_coef * entropy
        kl, clipped = (ratio - 1 - log_ratio).mean(), ((ratio - 1).abs() > config.clip).float().mean()
        return loss.Terms(total, policy, value, entropy, kl.detach(), clipped)

    def _penalty(self, minibatch: Minibatch, out: Tensor, log_std: Tensor | None, beta: float) -> Tensor:
        assert minibatch.reference is not None and self._config.target_kl is not None
        reference = self._tensor(minibatch.reference)
        if log_std is None:
            kl = loss.categorical_kl(reference, out, self._shape.spaces.choices)
        else:
            mean0, log_std0 = reference.chunk(2, dim=-1)
            kl = loss.gaussian_kl(mean0, log_std0, out, log_std)
        return loss.kl_penalty(kl, beta, self._config.target_kl)

    def step(self, minibatch: Minibatch, learning_rate: float, beta: float, stats: Stats | None) -> bool:
        """See base.Gradient."""
        terms = self.loss(minibatch, beta)
        self._adam.zero_grad()
        terms.total.backward()
        assert self._vector.grad is not None
        norm = torch.linalg.vector_norm(self._vector.grad)
        if not torch.isfinite(norm):
            return False
        if self._config.max_grad_norm is not None:
            self._vector.grad.mul_(torch.clamp(self._config.max_grad_norm / (norm + 1e-6), max=1.0))
        self._adam.param_groups[0]["lr"] = learning_rate
        self._adam.step()
        if stats:
            stats.add(*(term.item() for term in (terms.policy, terms.value, terms.entropy, terms.kl, terms.clipped)))
        return True

    def parameters(self) -> Array:
        """See base.Gradient."""
        return np.array(self._vector.detach().cpu().numpy())

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
            self._vector.copy_(self._tensor(arrays["parameters"]))
        if int(arrays["adam_steps"][0]) == 0:
            return
        self._adam.state[self._vector] = {
            "step": torch.tensor(float(arrays["adam_steps"][0]), device=self._device),
            "exp_avg": self._tensor(arrays["moment1"]),
            "exp_avg_sq": self._tensor(arrays["moment2"]),
        }
