"""Meaning of a config for an environment: the networks, the settings of the updates, the engine of the gradients."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import log

import numpy as np

from surreal.algorithms.devices import wants_gpu
from surreal.algorithms.environments.environment import Environment
from surreal.algorithms.environments.spaces import Spaces, View
from surreal.algorithms.offpolicy.compiling import loops_for
from surreal.algorithms.offpolicy.config import (
    DDPGConfig,
    DQNConfig,
    OffPolicyConfig,
    SACConfig,
    TD3Config,
    read_config,
)
from surreal.algorithms.offpolicy.shape import Kind, Shape, check_actions
from surreal.algorithms.offpolicy.updates.base import Engine, Rates, Settings
from surreal.algorithms.types import Array
from surreal.protocol.worker.process import Process

ENTROPY_SHARE = 0.5
"""Share of the largest entropy that a policy over choices keeps by default."""


@dataclass(frozen=True)
class Method:
    """One of the algorithms with its hyperparameters."""

    name: str
    config: OffPolicyConfig

    def shape(self, spaces: Spaces) -> Shape:
        """Return the networks for an environment. Raises Fatal where the algorithm does not take its actions."""
        config = self.config
        check_actions(self.name, spaces, {"dqn": True, "sac": None}.get(self.name, False))
        kind: Kind = "values" if isinstance(config, DQNConfig) else "deterministic"
        if isinstance(config, SACConfig):
            kind = "categorical" if spaces.discrete else "gaussian"
        dueling = isinstance(config, DQNConfig) and config.dueling
        return Shape(kind, spaces, tuple(config.hidden), config.number_of_critics, config.normed, dueling)

    def settings(self, spaces: Spaces) -> Settings:
        """Return the settings of the updates for an environment."""
        config = self.config
        if isinstance(config, DQNConfig):
            return Settings(huber=config.loss == "huber", double=config.double, max_grad_norm=config.max_grad_norm)
        if isinstance(config, SACConfig):
            target = self._target_entropy(config, spaces) if config.learn_temperature else None
            return Settings(temperature=config.temperature, target_entropy=target, max_grad_norm=config.max_grad_norm)
        return Settings(target_actor=True, max_grad_norm=config.max_grad_norm)

    @staticmethod
    def _target_entropy(config: SACConfig, spaces: Spaces) -> float:
        if config.target_entropy is not None:
            return config.target_entropy
        return ENTROPY_SHARE * log(spaces.action) if spaces.discrete else -float(spaces.action)

    def rates(self) -> Rates:
        """Return the step sizes."""
        config = self.config
        temperature = config.temperature_learning_rate if isinstance(config, SACConfig) else None
        actor = config.actor_learning_rate or config.learning_rate
        return Rates(actor, config.learning_rate, temperature or config.learning_rate)

    def engine(self, spaces: Spaces, rng: np.random.Generator) -> Engine:
        """Return the engine that the config asks for, with random networks.

        `auto` is by hand on a CPU, and for layers of at most SMALL units though there is a GPU; else autograd there.
        """
        config, shape, settings = self.config, self.shape(spaces), self.settings(spaces)
        vectors = shape.initial(rng)
        # Each engine is imported only where it is used: torch takes seconds and 200 MB.
        by_hand = config.gradients == "auto" and not wants_gpu(config.device, max(config.hidden))
        if config.gradients == "analytic" or by_hand:
            from surreal.algorithms.offpolicy.updates.values import has_lanes, make_engine

            loops = loops_for(config.total_steps * config.updates_per_step, has_lanes(shape))
            return make_engine(shape, settings, vectors, min(config.threads, usable_cores()), loops)
        from surreal.algorithms.offpolicy.updates.autograd import Autograd

        return Autograd(shape, settings, vectors, config.device)

    def smoothing(self, rng: np.random.Generator, count: int, width: int) -> Array:
        """Return the noise on the target's actions [count, width] (TD3); empty without one."""
        config = self.config
        if not isinstance(config, TD3Config) or not config.target_noise:
            return np.zeros((count, 0), dtype=np.float32)
        noise = rng.standard_normal((count, width), dtype=np.float32) * np.float32(config.target_noise)
        return np.asarray(np.clip(noise, -config.target_clip, config.target_clip))


def check(config: OffPolicyConfig, make: Callable[[View], Environment]) -> Iterator[tuple[str, str]]:
    """Yield nothing; raise Fatal where the algorithm does not take the environment. See `Algorithm.check`."""
    Method(NAMES[type(config)], config).shape(make("features").spaces)
    yield from ()


def usable_cores() -> int:
    """Return the number of cores that this process may run on; more threads than these only wait for each other."""
    # macOS has no affinity
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


NAMES: dict[type[OffPolicyConfig], str] = {DDPGConfig: "ddpg", TD3Config: "td3", SACConfig: "sac", DQNConfig: "dqn"}


def method_of(process: Process) -> Method:
    """Return the algorithm of a process, which the keys of its config tell."""
    config = read_config(process.config)
    return Method(NAMES[type(config)], config)
