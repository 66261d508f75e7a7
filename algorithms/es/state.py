"""State that evolution changes: the policy, the statistics, the counters. All of it is in a checkpoint."""

from logging import getLogger

import numpy as np

from surreal.algorithms.environments.environment import Environment
from surreal.algorithms.es import observation_sums as statistics
from surreal.algorithms.es.batched_policy import Layout
from surreal.algorithms.es.collector import Results
from surreal.algorithms.es.config import AnyConfig, ARSConfig, ESConfig, chunk_size
from surreal.algorithms.es.noise import NoiseTable
from surreal.algorithms.es.optimizers import Optimizer, ars_weights, es_weights, grown_cap, make_optimizer
from surreal.algorithms.es.weights import Orders
from surreal.algorithms.normalizers import CLIP, RunningMoments, Standardizer, refuse_another_scale, standardizes
from surreal.algorithms.recording.checkpoint import Checkpoint
from surreal.algorithms.types import Array
from surreal.protocol.errors import Fatal
from surreal.protocol.profiling.spans import NUMERIC, operation

log = getLogger(__name__)
REFERENCE_STEPS = 1000
"""Random actions that the statistics begin with, and the weight of that beginning."""


class State:
    """One run of ES or ARS."""

    def __init__(self, layout: Layout, config: AnyConfig, seed: int, workers: int) -> None:
        self.config, self._seed = config, seed
        self._noise = NoiseTable(seed, layout.size)
        self._chunk = chunk_size(config, workers)
        self.parameters = layout.initial(np.random.default_rng(np.random.SeedSequence([seed, 3])))
        self._optimizer: Optimizer | None = None
        if isinstance(config, ESConfig):
            self._optimizer = make_optimizer(config, layout.size)
        self._moments = RunningMoments(layout.spaces.observation)
        self._sent: dict[int, Standardizer] = {}
        self.cap = min(config.cap_start or config.episode_cap, config.episode_cap)
        self.steps = self.updates = self.episodes = self.skipped = 0
        self.elapsed = 0.0
        self.mean_return: float | None = None

    def orders(self) -> Orders:
        """Return what the present generation asks of the workers."""
        config = self.config
        staleness = 0 if config.deterministic else config.max_staleness
        return Orders(
            config.pairs, self._chunk, config.deterministic, config.sigma, self.cap, staleness, self._noise.checksum
        )

    def standardizer(self) -> Standardizer:
        """Return the present observation statistics, remembered for this generation's results."""
        if not self.config.normalizes:
            return Standardizer.identity(len(self._moments.mean))
        return self._sent.setdefault(self.updates, statistics.standardizer(self._moments))

    def see_reference(self, env: Environment) -> None:
        """Begin the statistics with the observations of random actions; `env` is reset and used up.

        ARS's running ones leave a feature as it is that stays within +-CLIP: what hardly moves under random actions,
        such as the height of a body that falls, would drown all else in a linear policy.
        """
        if not self.config.normalizes:
            return
        batch = env.random_features(self._seed % 2**31, REFERENCE_STEPS)
        batch = batch[np.isfinite(batch).all(axis=1)]
        self._moments.update(batch)
        if len(batch) and isinstance(self.config, ARSConfig) and self.config.normalize_observations == "running":
            small = np.abs(batch).max(axis=0) <= CLIP
            self._moments.mean[small], self._moments.variance[small] = 0.0, 1.0

    def learn(self, results: Results) -> dict[str, float]:
        """Learn from one generation. Returns its metrics. Raises Fatal where not one return was finite."""
        if not len(results.returns):
            raise Fatal(f"spec.env: all {results.broken} perturbations returned NaN or infinity. Mend the environment.")
        self._move(results)
        self._see(results)
        lengths = results.steps.ravel()
        config = self.config
        self.cap = grown_cap(self.cap, lengths, config.cap_threshold, config.cap_growth, config.episode_cap)
        staleness = self.updates - results.generations
        self.steps += int(lengths.sum())
        self.episodes += lengths.size
        self.updates += 1
        self.mean_return = float(results.returns.mean())
        return {
            "episode_return": self.mean_return,
            "episode_return_min": float(results.returns.min()),
            "episode_return_max": float(results.returns.max()),
            "episode_length": float(lengths.mean()),
            "staleness": float(staleness.mean()),
            "staleness_max": float(staleness.max()),
            **self._norms,
        }

    def _move(self, results: Results) -> None:
        """Reconstruct the perturbations and step; not at all where that is not finite."""
        with operation("gradient", NUMERIC):
            gradient = self._gradient(results)
        step = gradient if self._optimizer is None else self._optimizer.step(gradient)
        moved = self.parameters + step
        self._norms = {"gradient_norm": float(np.linalg.norm(gradient)), "step_norm": float(np.linalg.norm(step))}
        if np.isfinite(moved).all():
            self.parameters = moved
        else:
            self.skipped += 1
            log.warning("update %d is not finite and was skipped: is the learning rate too large?", self.updates)

    def _gradient(self, results: Results) -> Array:
        """Return ES's estimated gradient less weight decay, or ARS's step itself."""
        config, returns = self.config, results.returns - self.config.survival_bonus * results.steps
        if isinstance(config, ARSConfig):
            return self._combined(results, ars_weights(returns, config.used(len(returns)), config.learning_rate))
        gradient = self._combined(results, es_weights(returns))
        return gradient - np.float32(config.weight_decay) * self.parameters

    def _combined(self, results: Results, weights: Array) -> Array:
        """Return sum_i weights[i] * perturbation i."""
        offsets = np.empty(len(weights), dtype=np.int64)
        for generation in np.unique(results.generations):
            of = results.generations == generation
            offsets[of] = self._noise.offsets(int(generation), results.pairs[of])
        return self._noise.combine(offsets, weights)

    def _see(self, results: Results) -> None:
        """Take in the observations' sums, oldest generation first, and forget what no result can refer to."""
        for generation in sorted(results.sums):
            sums = results.sums[generation]
            statistics.merge(self._moments, self._sent[generation], sums[:-1].reshape(2, -1), int(sums[-1]))
        oldest = self.updates + 1 - self.config.max_staleness
        self._sent = {generation: sent for generation, sent in self._sent.items() if generation >= oldest}

    def done(self) -> bool:
        """Return True once all steps are taken, or the return is reached that the experiment stops at."""
        goal, mean = self.config.stop_at_return, self.mean_return
        return self.steps >= self.config.total_steps or (goal is not None and mean is not None and mean >= goal)

    def checkpoint(self) -> Checkpoint:
        """Return everything as it is now."""
        arrays = {"parameters": self.parameters, **self.standardizer().arrays()}
        arrays |= {f"observations.{name}": array for name, array in self._moments.arrays().items()}
        if self._optimizer is not None:
            arrays |= {f"optimizer.{name}": array for name, array in self._optimizer.arrays().items()}
        counters = {name: getattr(self, name) for name in _COUNTERS}
        return Checkpoint(self.steps, arrays, {**counters, "elapsed": self.elapsed, "mean_return": self.mean_return})

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go back to what `checkpoint` holds. Raises Fatal for one that learned with other statistics."""

        def group(prefix: str) -> dict[str, Array]:
            arrays = checkpoint.arrays.items()
            return {name.removeprefix(prefix): array for name, array in arrays if name.startswith(prefix)}

        state, found, wanted = checkpoint.state, standardizes(checkpoint.arrays), self.config.normalize_observations
        if found != self.config.normalizes:
            refuse_another_scale("normalize_observations", "running" if found else "none", wanted)
        parameters = checkpoint.arrays["parameters"]
        if parameters.shape != self.parameters.shape:
            raise ValueError(f"this policy has {len(self.parameters):,} parameters, and it has {len(parameters):,}")
        self._sent.clear()  # of the statistics that were here before
        self.parameters, self.steps = parameters.copy(), checkpoint.steps
        self._moments.load(group("observations."))
        if self._optimizer is not None:
            self._optimizer.load(group("optimizer."))
        for name in _COUNTERS:
            setattr(self, name, int(state[name]))
        self.elapsed, self.mean_return = float(state["elapsed"]), state["mean_return"]


_COUNTERS = ("updates", "episodes", "skipped", "cap")
