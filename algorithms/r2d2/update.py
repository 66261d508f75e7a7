"""One update of R2D2 by torch's autograd: burn-in, unroll, targets, a step of Adam, priorities."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from surreal.algorithms.devices import pick_device
from surreal.algorithms.environments.rows import from_named
from surreal.algorithms.models.learning import Bound
from surreal.algorithms.models.memory import Segments
from surreal.algorithms.r2d2.config import R2D2Config
from surreal.algorithms.r2d2.network import RecurrentValues
from surreal.algorithms.r2d2.targets import n_step_targets, priorities
from surreal.algorithms.types import Array
from surreal.protocol.profiling.spans import NUMERIC, operation

BETAS = (0.9, 0.999)


class Sequences(NamedTuple):
    """Sequences of a batch; time is first, but for observations."""

    observations: Any
    """[batch, length + 1, ...], or a dict of such."""
    inputs: Tensor
    """[length + 1, batch, choices + 1] one-hot last actions and last rewards, 0 at the start of an episode."""
    first: Array
    """[length + 1, batch] True in the first row of an episode."""
    states: Tensor
    """[batch, memory] before row 0."""


class Updater:
    """Networks and optimizer: everything that an update changes."""

    def __init__(self, layout: RecurrentValues, config: R2D2Config, vector: Array) -> None:
        """Begin with the parameters `vector` [size]."""
        self._layout, self._config, self._device = layout, config, pick_device(config.device)
        self._online, self._target = (Bound(layout, vector, self._device) for _ in range(2))
        self._adam = torch.optim.Adam(
            [self._online.vector], lr=config.learning_rate, betas=BETAS, eps=config.adam_epsilon, fused=True
        )
        self.updates = self.skipped = 0

    def learn(self, arrays: Mapping[str, Array], weights: Array) -> tuple[Array, dict[str, float]]:
        """Learn from a batch of sequences with importance weights [batch]; return its priorities, and metrics."""
        config = self._config
        with operation("forward", NUMERIC):
            errors, steps, values = self._errors(self._sequences(arrays), arrays)
        loss = (0.5 * self._placed(weights) * errors.square().sum(1)).mean()
        norm = self._step(loss)
        self.updates += 1
        if self.updates % config.target_every == 0:
            self._target.load(self._online.array())
        found = priorities(errors.detach(), steps, config.priority_eta)
        means = torch.stack([loss.detach(), values.mean(), found.mean(), norm]).tolist()
        metrics = dict(zip(("loss", "value_mean", "error", "gradient_norm"), means, strict=True))
        return np.asarray(found.cpu().numpy()), metrics

    def _errors(self, data: Sequences, arrays: Mapping[str, Array]) -> tuple[Tensor, Tensor, Tensor]:
        """Return the errors of all rows after the burn-in [batch, rows], which of them count, and their values."""
        config, begin = self._config, self._config.burn_in
        online = self._unrolled(self._online, data, learning=True)
        with torch.no_grad():
            judged = self._unrolled(self._target, data, learning=False)
            best = (online if config.double else judged).argmax(-1, keepdim=True)
            values = judged.gather(-1, best).squeeze(-1)
            rewards, discounts, steps = (
                self._placed(arrays[name][:, begin:]) for name in ("rewards", "discounts", "mask")
            )
            targets, _ = n_step_targets(rewards, discounts, steps, values, config.n_step, config.rescale)
        taken = online[:, :-1].gather(-1, self._placed(arrays["actions"][:, begin:])[..., None]).squeeze(-1)
        return (targets - taken) * steps, steps, taken.detach()

    def _unrolled(self, network: Bound, data: Sequences, learning: bool) -> Tensor:
        """Return the values [batch, rows, choices] of all rows after the burn-in, differentiable where `learning`."""
        layout, begin = self._layout, self._config.burn_in
        x = self._features(network, data.observations, slice(begin, None), learning)
        time, batch = x.shape[:2]
        if layout.memory is not None:
            states = self._burnt_in(network, data)
            rows = torch.cat([x, data.inputs[begin:]], dim=-1).flatten(0, 1)
            with torch.set_grad_enabled(learning):
                x = layout.memory.torch(network.parts, rows, states, Segments.of(data.first[begin:]))
        with torch.set_grad_enabled(learning):
            values = layout.values(network.parts, x.reshape(time * batch, -1))
        return values.reshape(time, batch, -1).transpose(0, 1)

    @torch.no_grad()
    def _burnt_in(self, network: Bound, data: Sequences) -> Tensor:
        """Return the states [batch, memory] after the burn-in (Kapturowski et al. 2019, section 3)."""
        memory, states = self._layout.memory, data.states
        assert memory is not None
        begin = self._config.burn_in
        if not begin:
            return states
        x = torch.cat([self._features(network, data.observations, slice(begin), False), data.inputs[:begin]], dim=-1)
        kept = self._placed(~data.first[:begin, :, None])
        for t in range(begin):
            _, states = memory.step(network.parts, x[t], states * kept[t])
        return states

    def _features(self, network: Bound, observations: Any, rows: slice, learning: bool) -> Tensor:
        """Return the features [rows, batch, width] of some rows of the observations."""
        parts = observations if isinstance(observations, dict) else {"": observations}
        cut = {name: self._placed(part[:, rows]) for name, part in parts.items()}
        batch, time = next(iter(cut.values())).shape[:2]
        flat = {name: part.flatten(0, 1) for name, part in cut.items()}
        with torch.set_grad_enabled(learning):
            x = self._layout.encoded(network.parts, flat if isinstance(observations, dict) else flat[""])
        return x.reshape(batch, time, -1).transpose(0, 1)

    def _sequences(self, arrays: Mapping[str, Array]) -> Sequences:
        """Return the sequences of a batch of replay."""
        first, choices = np.ascontiguousarray(arrays["first"].T), self._layout.spaces.action
        length, batch = first.shape
        own = self._layout.state_size - self._layout.extra
        stored = arrays["states"] if self._layout.state_size else np.zeros((batch, 0), np.float32)
        inputs = np.zeros((length, batch, self._layout.extra), np.float32)
        if self._layout.extra:
            inputs[0] = stored[:, own:]
            inputs[1:, :, :-1] = np.eye(choices, dtype=np.float32)[arrays["actions"].T]
            inputs[1:, :, -1] = arrays["rewards"].T
            inputs[first] = 0.0
        states = stored[:, :own] if self._config.stored_state else np.zeros((batch, own), np.float32)
        observations = from_named("observations", dict(arrays))
        return Sequences(observations, self._placed(inputs), first, self._placed(states))

    def _placed(self, array: Array) -> Tensor:
        return torch.as_tensor(np.ascontiguousarray(array), device=self._device)

    def _step(self, loss: Tensor) -> Tensor:
        """Take a step, unless the gradient is not finite. Return the gradient's norm."""
        gradient, limit = self._online.vector.grad, self._config.max_grad_norm
        assert gradient is not None
        gradient.zero_()
        with operation("backward", NUMERIC):
            loss.backward()
        norm: torch.Tensor = torch.linalg.vector_norm(gradient)
        if not torch.isfinite(norm):
            self.skipped += 1
            return norm
        if limit is not None:
            gradient.mul_(torch.clamp(limit / (norm + 1e-6), max=1.0))
        with operation("optimizer", NUMERIC):
            self._adam.step()
        return norm

    def parameters(self) -> Array:
        """Return a copy of the parameters [size]."""
        return self._online.array()

    def arrays(self) -> dict[str, Array]:
        """Return everything that a checkpoint needs."""
        vector = self._online.vector
        state, zero = self._adam.state.get(vector, {}), torch.zeros_like(vector)
        moments = {"moment1": state.get("exp_avg", zero), "moment2": state.get("exp_avg_sq", zero)}
        arrays = {name: np.array(moment.detach().cpu().numpy()) for name, moment in moments.items()}
        counts = np.array([int(state.get("step", 0)), self.updates])
        return {"online": self.parameters(), "target": self._target.array(), "counts": counts, **arrays}

    def load(self, arrays: Mapping[str, Array]) -> None:
        """Take over what `arrays` returned."""
        self._online.load(arrays["online"])
        self._target.load(arrays["target"])
        steps, self.updates = (int(count) for count in arrays["counts"])
        if steps:
            self._adam.state[self._online.vector] = {
                "step": torch.tensor(float(steps), device=self._device),
                "exp_avg": self._placed(arrays["moment1"]).clone(),
                "exp_avg_sq": self._placed(arrays["moment2"]).clone(),
            }
