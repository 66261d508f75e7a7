"""One PPO update: estimate, epochs of minibatches, KL stop, adaptive weight of the KL penalty. Moves no data."""

from typing import Any

import numpy as np

from surreal.algorithms.distributions import masked
from surreal.algorithms.group.exchange import Alone, Learners
from surreal.algorithms.models.acting import make_policy
from surreal.algorithms.networks import LOG_STD_RANGE, Layout
from surreal.algorithms.ppo.batch import Batch
from surreal.algorithms.ppo.config import PPOConfig
from surreal.algorithms.ppo.gradients import make_gradient
from surreal.algorithms.ppo.gradients.base import Rates, Stats
from surreal.algorithms.ppo.together import TogetherBatch, step, summed
from surreal.algorithms.returns import explained_variance, gae, next_values
from surreal.algorithms.rollouts.trajectories import Trajectories
from surreal.algorithms.types import Array
from surreal.protocol.profiling.spans import NUMERIC, operation

ALONE = Alone()
BETA_RANGE = (1 / 35, 35.0)
FAR_SHORT = 0.4
"""Factor of 1 - gae_lambda while the horizon is far: 0.95 is 0.98 then."""


class Updater:
    """Parameters, optimizer, shuffling and the KL penalty's weight: everything an update changes."""

    def __init__(self, layout: Layout, config: PPOConfig, seed: int, learners: Learners = ALONE) -> None:
        self.config, self.learners = config.of(layout), learners
        self.rng = np.random.default_rng([seed, 0])
        self.beta = 1.0
        self.skipped = 0
        self.step_size = StepSize(config)
        # several learners normalize over the rows of all, which no engine sees
        inside = self.config if learners.size == 1 else self.config.model_copy(update={"normalize_advantages": False})
        vector = layout.initial(self.rng, config.log_std_init)
        self.gradient = make_gradient(layout, inside, vector, learners.rank)
        self._layout, self._policy = layout, make_policy(layout)

    def update(self, data: Trajectories, progress: float) -> dict[str, float]:
        """Learn from one batch. `progress` in [0, 1] anneals the step size. Returns metrics."""
        config, batch = self.config, self.gradient.batch(data)
        found = self._before(batch, data)
        together = None if data.share is None else TogetherBatch(batch, data, self.learners)
        self.gradient.clip = config.clip * (1 - progress if config.anneal_clip else 1.0)
        final = config.entropy_coef if config.entropy_coef_final is None else config.entropy_coef_final
        self.gradient.entropy_coef = config.entropy_coef + progress * (final - config.entropy_coef)
        rates = self.step_size.at(progress)
        self._estimate(batch, data, together, found)
        before = explained_variance(batch.values, batch.returns)
        if together is not None:
            before = explained_variance(together.values, together.values + together.advantages)
        stats, epochs = Stats(), 0
        for epoch in range(config.epochs):
            if epoch:
                self._estimate_again(batch, data, together)
            watch = config.target_kl is not None or epoch == config.epochs - 1
            stats = self._epoch(batch, rates, watch) if together is None else self._epoch_of_all(together, rates, watch)
            epochs += 1
            if self._too_far(stats):
                break
        if config.objective == "adaptive-kl":
            self._adapt(stats.means()["kl"])
        self.step_size.adapt(stats.means()["kl"], progress)
        return {**stats.means(), "explained_variance": before, "learning_rate": rates.policy, "epochs": float(epochs)}

    def _before(self, batch: Batch, data: Trajectories) -> Array:
        """Return the values of all rows before the update, and note the policy where the loss is measured from it."""
        config = self.config
        newest = config.objective == "clip" and config.clip_from == "newest" and config.max_staleness > 0
        with operation("estimate", NUMERIC):
            if not newest and config.objective == "clip":
                return self.gradient.values(batch.rows, batch.memories)
            out, values = self.gradient.estimates(batch.rows, batch.memories)
        out = out[: batch.size]
        if newest:
            batch.clip_from(self._log_probs(masked(out, batch.masks), data))
        else:
            batch.refer_to(masked(self._reference(out), batch.masks))
        return values

    def _log_probs(self, out: Array, data: Trajectories) -> Array:
        """Return the log-probabilities [size] of the actions taken under the present policy, which gave `out`."""
        self._policy.load(self.gradient.parameters())
        return self._policy.log_prob(out, data.actions.reshape(len(out), *data.actions.shape[2:]))

    def _estimate(self, batch: Batch, data: Trajectories, together: TogetherBatch | None, found: Array) -> None:
        (together or batch).estimate(*self._advantages(data, found))

    def _estimate_again(self, batch: Batch, data: Trajectories, together: TogetherBatch | None) -> None:
        """Estimate what is to follow the values as they have become: advantages and returns, or returns alone."""
        if not self.config.recompute_advantages and not self.config.recompute_returns:
            return
        with operation("estimate", NUMERIC):
            found = self.gradient.values(batch.rows, batch.memories)
        if self.config.recompute_advantages:
            self._estimate(batch, data, together, found)
        else:
            batch.aim(np.add(*self._advantages(data, found)))

    def _advantages(self, data: Trajectories, found: Array) -> tuple[Array, Array]:
        """Return the advantages and the values [steps, copies] by the values `found` of all rows."""
        steps, copies = data.rewards.shape
        values, final = found[: (steps + 1) * copies].reshape(steps + 1, copies), found[(steps + 1) * copies :]
        following = next_values(values, data.terminated, data.truncated, final)
        done = data.terminated | data.truncated
        gamma = self.config.discount(data.gamma)
        short = 1 - self.config.gae_lambda
        trace = 1 - FAR_SHORT * short if data.far else self.config.gae_lambda
        return gae(data.rewards, values[:-1], following, done, gamma, trace), values[:-1]

    def _epoch(self, batch: Batch, rates: Rates, watch: bool) -> Stats:
        stats = Stats()
        with operation("epoch") as span:
            self.gradient.epoch(batch, self.rng, rates, self.beta, stats if watch else None)
            self.gradient.tell(span)
        self.skipped += self.gradient.skipped()
        return stats

    def _epoch_of_all(self, batch: TogetherBatch, rates: Rates, watch: bool) -> Stats:
        stats, config = Stats(), self.config
        with operation("epoch") as span:
            for own in batch.minibatches(self.rng, config.minibatch, config.normalize_advantages):
                step(self.gradient, self.learners, own, rates, self.beta, stats if watch else None)
            self.gradient.tell(span)
        self.skipped += self.gradient.skipped()
        return summed(self.learners, stats) if watch else stats

    def _reference(self, out: Array) -> Array:
        """Return the policy before the update, whose outputs are `out`: logits, or means and log stds side by side."""
        log_std = self._layout.views(self.gradient.parameters()).get("log_std")
        if self._layout.spaces.discrete:
            return out
        if log_std is None:
            mean, log_std = np.split(out, 2, axis=1)
            return np.concatenate([mean, np.clip(log_std, *LOG_STD_RANGE)], axis=1)
        return np.concatenate([out, np.broadcast_to(log_std, out.shape)], axis=1)

    def _too_far(self, stats: Stats) -> bool:
        """True if the policy left the one that acted: 1.5 targets end the epochs, 4 under the adaptive penalty."""
        if self.config.target_kl is None:
            return False
        limit = 1.5 if self.config.objective == "clip" else 4.0
        return stats.means()["kl"] > limit * self.config.target_kl

    def _adapt(self, kl: float) -> None:
        """Adapt the coefficient by Schulman et al. 2017, sec. 4, with the factors of SURREAL's PPO."""
        assert self.config.target_kl is not None
        if kl > 2 * self.config.target_kl:
            self.beta *= 1.5
        elif kl < 0.5 * self.config.target_kl:
            self.beta /= 1.5
        self.beta = min(max(self.beta, BETA_RANGE[0]), BETA_RANGE[1])

    def parameters(self) -> Array:
        """Return a copy of the parameters [size]."""
        return self.gradient.parameters()

    def arrays(self) -> dict[str, Array]:
        """Return the tensors a checkpoint needs."""
        return self.gradient.arrays()

    def state(self) -> dict[str, Any]:
        """Return the rest a checkpoint needs, as JSON."""
        return {
            "rng": self.rng.bit_generator.state,
            "beta": self.beta,
            "skipped": self.skipped,
            "rate": self.step_size.multiple,
        }

    def load(self, arrays: dict[str, Array], state: dict[str, Any]) -> None:
        """Take over what `arrays` and `state` returned."""
        self.gradient.load(arrays)
        self.rng.bit_generator.state = state["rng"]
        self.beta, self.skipped = state["beta"], state["skipped"]
        self.step_size.multiple = state.get("rate", 1.0)


FACTOR = 1.5
"""The step size changes by it, and falls where the KL is above its goal by more than it."""
SMALL = 4.0
"""The step size grows beyond learning_rate where the KL is below its goal by more than it."""
RANGE = (0.1, 10.0)
"""Smallest and largest multiple of learning_rate."""


class StepSize:
    """Step sizes: `learning_rate` times a multiple that follows the KL of the updates (desired_kl, Schulman's adaptive
    step), and that of the values."""

    def __init__(self, config: PPOConfig) -> None:
        self._config = config
        self.multiple = 1.0

    def at(self, progress: float) -> Rates:
        """Return the step sizes at `progress` in [0, 1] of the run. That of the values knows no KL."""
        config, left = self._config, 1 - progress if self._config.anneal else 1.0
        policy, values = config.learning_rate * self.multiple * left, config.value_learning_rate
        return Rates(policy, policy if values is None else values * left)

    def adapt(self, kl: float, progress: float) -> None:
        """Take in the mean KL that an update ended with.

        A KL above the goal lowers the multiple, and one below lets it come back to 1. It goes beyond 1 where the KL is
        small for what annealing leaves: a KL falls with the square of the step size, so annealing alone raises nothing.
        """
        config, goal = self._config, self._config.desired_kl
        if goal is None or config.objective != "clip":
            return
        left = 1 - progress if config.anneal else 1.0
        if kl > FACTOR * goal:
            self.multiple = max(self.multiple / FACTOR, RANGE[0])
        elif self.multiple < 1 and kl < goal / FACTOR:
            self.multiple = min(self.multiple * FACTOR, 1.0)
        elif kl < goal * left**2 / SMALL:
            self.multiple = min(self.multiple * FACTOR, RANGE[1])
