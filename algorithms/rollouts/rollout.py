"""Acting: environments + policy -> fragments, with nothing per step that could be per fragment."""

from collections.abc import Callable
from time import perf_counter

import numpy as np

from surreal.algorithms.acting.actors import EpisodeReturns
from surreal.algorithms.distributions import masked
from surreal.algorithms.environments.frames import Observations, observations
from surreal.algorithms.environments.rows import Rows
from surreal.algorithms.environments.vector import VectorEnvironments
from surreal.algorithms.networks import Policy
from surreal.algorithms.rollouts.fragment import allocate
from surreal.algorithms.types import Array
from surreal.protocol.profiling.spans import NUMERIC, SIMULATOR, Operation, operation


class Rollout:
    """Collects fragments of `steps` from environments that live on between fragments."""

    def __init__(
        self,
        envs: VectorEnvironments,
        policy: Policy,
        copies: int,
        steps: int,
        rng: np.random.Generator,
        sequence: int | None = None,
    ) -> None:
        """Store the memory of a policy that has one every `sequence` steps, by default once a fragment."""
        self._envs, self._policy, self._copies, self._steps, self._rng = envs, policy, copies, steps, rng
        self._onto_bounds = policy.bounded(envs.spaces.onto_bounds)
        self._sequence, self._state = sequence or steps, policy.initial_state(copies)
        self._first = envs.reset()
        self._returns = EpisodeReturns(copies)
        self.env_seconds = 0.0

    def collect(self, standardize: Callable[[Rows], Rows], stopping: Callable[[], bool]) -> dict[str, Array] | None:
        """Return one fragment by the policy as it is, arrays [steps, copies, ...]; None where `stopping` became true.

        observations and masks have one row more, and observations of a frame stack are single frames (`frames.py`);
        `final` holds the observations that truncated episodes ended in; noise and log-probabilities are computed for
        the whole fragment at once.
        """
        # new arrays for every fragment: the channel still owns the last one's until they are acknowledged
        seen, fragment = observations(self._envs.spaces, self._first, self._steps), self._allocate()
        outs = np.empty((self._steps, self._copies, self._policy.outputs), dtype=np.float32)
        # what float32 cannot hold is infinite, and refused later
        with operation("acting") as span, np.errstate(over="ignore", invalid="ignore"):
            final = self._act(seen, fragment, outs, standardize, stopping, span)
        if final is None:
            return None
        self._first = seen.last()
        fragment["log_probs"] = self._policy.log_prob(outs, fragment["actions"])
        done = fragment["terminated"] | fragment["truncated"]
        fragment["episode_returns"], fragment["episode_lengths"] = self._returns.ended(fragment["rewards"], done)
        return {**seen.arrays(final), **fragment}

    def _allocate(self) -> dict[str, Array]:
        fragment = allocate(self._envs.spaces, self._steps, self._copies)
        if self._envs.masks is not None:
            fragment["masks"] = np.empty((self._steps + 1, *self._envs.masks.shape), np.bool_)
            fragment["masks"][0] = self._envs.masks
        if self._policy.state_size:
            fragment["states"] = np.empty((self._steps // self._sequence, *self._state.shape), np.float32)
        return fragment

    def _act(
        self,
        seen: Observations,
        fragment: dict[str, Array],
        outs: Array,
        standardize: Callable[[Rows], Rows],
        stopping: Callable[[], bool],
        span: Operation,
    ) -> list[Rows] | None:
        """Fill in the fragment step by step. Returns the final observations of truncated episodes."""
        taken, masks, states = fragment["actions"], fragment.get("masks"), fragment.get("states")
        rewards, terminated, truncated = fragment["rewards"], fragment["terminated"], fragment["truncated"]
        noise = self._policy.noise(self._rng, outs.shape)
        final: list[Rows] = []
        advance = span.pieces("inference", NUMERIC, self._policy.advance)
        step = span.pieces("simulation", SIMULATOR, self._envs.step)
        for t in range(self._steps):
            if states is not None and t % self._sequence == 0:
                states[t // self._sequence] = self._state
            out, self._state = advance(standardize(seen.row(t)), self._state)
            if masks is not None:
                out = masked(out, masks[t])
            outs[t] = out
            actions = self._policy.act(out, noise[t])
            taken[t] = actions
            start = perf_counter()
            final += step(self._onto_bounds(actions), seen.row(t + 1), rewards[t], terminated[t], truncated[t])
            seen.wrote(t + 1)
            if states is not None:
                self._policy.noted(self._state, actions, rewards[t])
                self._state[terminated[t] | truncated[t]] = 0.0
            if masks is not None:
                masks[t + 1] = self._envs.masks
            self.env_seconds += perf_counter() - start
            if stopping():
                return None
        return final

    def restart(self) -> None:
        """Begin new episodes with new seeds in every environment, forgetting the ones under way."""
        self._first = self._envs.reset()
        self._returns.clear()
        self._state[:] = 0.0
