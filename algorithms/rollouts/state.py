"""State of a run that learns from rollouts: networks, statistics, counters. All of it is in a checkpoint."""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from surreal.algorithms.environments.spaces import Spaces
from surreal.algorithms.normalizers import (
    RewardScaler,
    RunningMoments,
    Standardizer,
    over_leaves,
    refuse_another_scale,
    standardized_size,
    standardizes,
)
from surreal.algorithms.recording.checkpoint import Checkpoint
from surreal.algorithms.rollouts.config import RolloutConfig
from surreal.algorithms.rollouts.discount import Discount
from surreal.algorithms.rollouts.facts import Fact, Facts, facts
from surreal.algorithms.rollouts.trajectories import Fragment, Share, Trajectories, trajectories
from surreal.algorithms.types import Array
from surreal.protocol.errors import Fatal
from surreal.protocol.wire.packet import Message


class Updater(Protocol):
    """Parameters, optimizer, and all else that an update of an algorithm changes."""

    skipped: int
    """Steps that were not taken, for their gradient was not finite."""

    def update(self, data: Trajectories, progress: float) -> dict[str, float]:
        """Learn from fragments at `progress` in [0, 1] of the run. Return metrics."""

    def parameters(self) -> Array:
        """Return a copy of the parameters [size]."""

    def arrays(self) -> dict[str, Array]:
        """Return the tensors that a checkpoint needs."""

    def state(self) -> dict[str, Any]:
        """Return the rest that a checkpoint needs, as JSON."""

    def load(self, arrays: dict[str, Array], state: dict[str, Any]) -> None:
        """Take over what `arrays` and `state` returned."""


class State:
    """State that learning changes: the networks, the statistics, the counters. All of it is in a checkpoint."""

    def __init__(self, spaces: Spaces, config: RolloutConfig, updater: Updater) -> None:
        self.config, self.updater, self.spaces = config, updater, spaces
        self.moments = RunningMoments(standardized_size(spaces))
        self.discount = Discount(config.gamma)
        if not (config.begins_far and config.normalize_rewards):
            # rewards that are not normalized are not centred: returns of a far horizon would be thousands of them
            self.discount.settle()
        self.scaler = RewardScaler(self.discount.gamma) if config.normalize_rewards else None
        self.steps = self.updates = self.episodes = 0
        self.elapsed = 0.0
        self.returns: deque[float] = deque(maxlen=config.return_window)
        self.facts = Facts(spaces, self.scaler, config.normalize_observations)

    def learn(self, messages: list[Message], again: Sequence[Message] = ()) -> dict[str, float]:
        """Make one update on the fragments of `messages`, and of earlier ones `again`. Returns its metrics."""
        fragments = self.fragments(messages)
        return self.update([*fragments, *self.fragments(again)], facts([self.facts.state(messages, fragments)]))

    def fragments(self, messages: Sequence[Message]) -> list[Fragment]:
        """Return the fragments in messages of actors."""
        return [Fragment.of(message.arrays, self.spaces) for message in messages]

    def update(self, fragments: list[Fragment], news: Sequence[Fact], share: Share | None = None) -> dict[str, float]:
        """Make one update on own fragments, `share` of those of all learners, whose facts are `news`."""
        standardize = self.standardizer()
        for fact in news:
            self._take_in(fact)
        self._centre(news)
        progress = min(1.0, self.steps / self.config.total_steps)
        data = trajectories(fragments, over_leaves(standardize, self.spaces), self.scaler)
        gamma = self.discount.gamma
        metrics = self.updater.update(replace(data, share=share, gamma=gamma, far=self.discount.far), progress)
        self.discount.judge(metrics.get("explained_variance", 1.0))
        for fact in news:
            if fact.observations is not None:
                fact.observations.into(self.moments)
        self.steps += sum(fact.transitions for fact in news)
        self.updates += 1
        if self.scaler is not None:
            self.scaler.gamma = gamma
        return {**metrics, "gamma": gamma} if self.discount.follows else metrics

    def _take_in(self, fact: Fact) -> None:
        """Take in the episodes that ended, and the statistics that rewards are scaled by."""
        self.returns.extend(fact.returns.tolist())
        self.episodes += len(fact.returns)
        self.discount.take_in(fact.finished, len(fact.returns), fact.terminated)
        if self.scaler is not None and fact.rewards is not None:
            fact.rewards.into(self.scaler.moments)

    def _centre(self, news: Sequence[Fact]) -> None:
        """Take in the mean reward, by which rewards are centred where only time limits end long episodes."""
        if self.scaler is not None and news:
            steps = [fact.transitions for fact in news]
            self.scaler.follow(float(np.average([fact.reward for fact in news], weights=steps)), self.updates)
            self.scaler.centred = self.discount.endless

    def standardizer(self) -> Standardizer:
        """Return the present observation statistics; the identity where observations are not normalized."""
        if not self.config.normalize_observations:
            return Standardizer.identity(len(self.moments.mean))
        return Standardizer.of(self.moments)

    def mean_return(self) -> float | None:
        """Return the mean training return of the last episodes; None before one ended."""
        return float(np.mean(self.returns)) if self.returns else None

    def done(self) -> bool:
        """Return True once all steps are taken, or the return is reached that the experiment stops at."""
        goal, mean = self.config.stop_at_return, self.mean_return()
        reached = goal is not None and len(self.returns) == self.returns.maxlen and mean is not None and mean >= goal
        return self.steps >= self.config.total_steps or reached

    def checkpoint(self) -> Checkpoint:
        """Return everything as it is now."""
        arrays = {f"updater.{name}": array for name, array in self.updater.arrays().items()}
        arrays |= {f"observations.{name}": array for name, array in self.moments.arrays().items()}
        arrays |= self.standardizer().arrays()
        if self.scaler is not None:
            arrays |= {f"rewards.{name}": array for name, array in self.scaler.moments.arrays().items()}
        counters = {"updates": self.updates, "episodes": self.episodes, "elapsed": self.elapsed}
        state = {**counters, "returns": list(self.returns), "updater": self.updater.state()}
        state["discount"] = self.discount.state()
        if self.scaler is not None:
            state["centre"] = self.scaler.mean
        return Checkpoint(self.steps, arrays, state)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go back to what `checkpoint` holds. Raises Fatal for one of another network, or of other statistics."""

        def group(prefix: str) -> dict[str, Array]:
            arrays = checkpoint.arrays.items()
            return {name.removeprefix(prefix): array for name, array in arrays if name.startswith(prefix)}

        state, updater = checkpoint.state, group("updater.")
        size, found = len(self.updater.parameters()), len(updater["parameters"])
        if size != found:
            text = f"this network has {size:,} parameters, and the checkpoint has {found:,}"
            raise Fatal(f"spec.algorithm.config.network: {text}. Set the network of the run, or begin a new run.")
        self._check_statistics(checkpoint)
        self.updater.load(updater, state["updater"])
        self.moments.load(group("observations."))
        if self.scaler is not None:
            self.scaler.moments.load(group("rewards."))
        self.steps, self.updates, self.episodes = checkpoint.steps, state["updates"], state["episodes"]
        self.elapsed = state["elapsed"]
        # not in a checkpoint of before, and None in one that another environment takes up
        if known := state.get("discount"):
            self.discount.load(known)
        else:
            self.discount.settle()
        if self.scaler is not None:
            self.scaler.gamma, self.scaler.centred = self.discount.gamma, self.discount.endless
            self.scaler.mean = state.get("centre", 0.0)
        self.returns.clear()
        self.returns.extend(state["returns"])

    def _check_statistics(self, checkpoint: Checkpoint) -> None:
        """Raise Fatal where policy and values of `checkpoint` learned from numbers of another scale."""
        had = standardizes(checkpoint.arrays)
        scaled = any(name.startswith("rewards.") for name in checkpoint.arrays)
        refuse_another_scale("normalize_observations", had, self.config.normalize_observations)
        refuse_another_scale("normalize_rewards", scaled, self.config.normalize_rewards)
