"""Meaning of a config for an environment: the networks, the engine of the updates, the random numbers that it needs."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from surreal.algorithms.devices import wants_gpu
from surreal.algorithms.environments.environment import Environment
from surreal.algorithms.environments.spaces import Spaces, View
from surreal.algorithms.offline.config import (
    BCConfig,
    CQLConfig,
    CRRConfig,
    IQLConfig,
    OfflineConfig,
    TD3BCConfig,
    ValuedConfig,
    WeightedConfig,
    read_config,
)
from surreal.algorithms.offline.updates.byhand import Cloning, ConservativeValues, Drawn
from surreal.algorithms.offline.updates.conservative_byhand import ConservativeByHand, DrawnBatch
from surreal.algorithms.offline.updates.weighted_byhand import ImplicitByHand, WeightedByHand, value_layout
from surreal.algorithms.offpolicy.compiling import loops_for
from surreal.algorithms.offpolicy.loops import Loops
from surreal.algorithms.offpolicy.shape import Kind, Shape, check_actions
from surreal.algorithms.offpolicy.updates.analytic import Deterministic
from surreal.algorithms.offpolicy.updates.base import Batch, Engine, Settings
from surreal.algorithms.offpolicy.updates.lanes import Lanes
from surreal.algorithms.types import Array
from surreal.protocol.errors import Fatal
from surreal.protocol.worker.process import Process


@dataclass(frozen=True)
class Method:
    """One of the algorithms with its hyperparameters, for an environment."""

    name: str
    config: OfflineConfig
    spaces: Spaces

    @property
    def conservative(self) -> CQLConfig | None:
        """The config where critics of Box actions are pushed down."""
        return self.config if isinstance(self.config, CQLConfig) and not self.spaces.discrete else None

    def shape(self) -> Shape:
        """Return the networks. Raises Fatal where the algorithm does not take the environment's actions."""
        config, spaces = self.config, self.spaces
        either = isinstance(config, BCConfig | CQLConfig)
        check_actions(self.name, spaces, None if either else False, "bc or cql")
        kind: Kind = "deterministic"
        if isinstance(config, CQLConfig):
            kind = "values" if spaces.discrete else "gaussian"
        elif spaces.discrete:
            kind = "categorical"
        critics = config.critics if isinstance(config, ValuedConfig) and kind != "values" else 1
        normed = isinstance(config, ValuedConfig) and config.layer_norm
        return Shape(kind, spaces, tuple(config.hidden), critics, normed)

    def engine(self, rng: np.random.Generator) -> Engine:
        """Return the engine with random networks. Each is imported only where it is used: torch takes seconds."""
        config, shape = self.config, self.shape()
        vectors = shape.initial(rng)
        loops = loops_for(config.total_steps)
        if isinstance(config, BCConfig):
            return Cloning(shape, vectors[0], config.max_grad_norm, Lanes(config.threads), loops)
        if isinstance(config, TD3BCConfig):
            return _drawn(shape, config, vectors, loops)
        if isinstance(config, CQLConfig):
            return _conservative(shape, config, vectors, loops)
        assert isinstance(config, WeightedConfig)
        return _weighted(shape, config, vectors, loops, rng)

    def batch(self, arrays: dict[str, Array], rng: np.random.Generator) -> Batch:
        """Return `arrays`, standardised, with the random numbers that an update needs."""
        config, size, width = self.config, len(arrays["rewards"]), self.spaces.action
        noise = next_noise = np.zeros((size, 0), dtype=np.float32)
        if isinstance(config, TD3BCConfig):
            smooth = rng.standard_normal((size, width), dtype=np.float32) * np.float32(config.target_noise)
            next_noise = np.clip(smooth, -config.target_clip, config.target_clip)
        elif self.conservative or isinstance(config, WeightedConfig):
            next_noise = rng.standard_normal((size, width), dtype=np.float32)
            number = config.advantage_actions if isinstance(config, CRRConfig) else 1
            shape = (size, width) if self.conservative else (size, number, width)
            noise = rng.standard_normal(shape, dtype=np.float32)
        if not self.conservative:
            return Batch(**arrays, noise=noise, next_noise=next_noise)
        draws = rng.standard_normal((size, 3, self.conservative.actions, width), dtype=np.float32)
        draws[:, 0] = rng.uniform(-1, 1, draws[:, 0].shape)
        return DrawnBatch(**arrays, noise=noise, next_noise=next_noise, draws=draws)


def _drawn(shape: Shape, config: TD3BCConfig, vectors: tuple[Array, Array], loops: Loops) -> Engine:
    settings = Settings(target_actor=True, max_grad_norm=config.max_grad_norm)
    if wants_gpu(config.device):
        from surreal.algorithms.offline.updates.conservative import DrawnTorch
        from surreal.algorithms.offpolicy.updates.autograd import Autograd

        if config.alpha is None:
            return Autograd(shape, settings, vectors, config.device)
        return DrawnTorch(shape, settings, vectors, config.device, config.alpha)
    if config.alpha is None:
        return Deterministic(shape, settings, vectors, Lanes(config.threads), loops)
    return Drawn(shape, settings, vectors, Lanes(config.threads), loops, alpha=config.alpha)


def _weighted(
    shape: Shape, config: WeightedConfig, vectors: tuple[Array, Array], loops: Loops, rng: np.random.Generator
) -> Engine:
    values = value_layout(shape).initial(rng) if isinstance(config, IQLConfig) else None
    if wants_gpu(config.device):
        from surreal.algorithms.offline.updates.weighted import Implicit, Weighted

        if isinstance(config, IQLConfig) and values is not None:
            return Implicit(shape, config, vectors, values)
        return Weighted(shape, config, vectors)
    lanes = Lanes(config.threads)
    if isinstance(config, IQLConfig) and values is not None:
        return ImplicitByHand(shape, config, vectors, values, lanes, loops)
    return WeightedByHand(shape, config, vectors, lanes, loops)


def _conservative(shape: Shape, config: CQLConfig, vectors: tuple[Array, Array], loops: Loops) -> Engine:
    choices, limit = shape.kind == "values", config.max_grad_norm
    target = None if choices else -float(shape.spaces.action)
    settings = Settings(huber=choices, target_entropy=target, max_grad_norm=limit)
    if wants_gpu(config.device):
        from surreal.algorithms.offline.updates.conservative import Conservative, ConservativeChoices

        engine = ConservativeChoices if choices else Conservative
        return engine(shape, settings, vectors, config.device, config.conservatism)
    by_hand = ConservativeValues if choices else ConservativeByHand
    return by_hand(shape, settings, vectors, Lanes(config.threads), loops, conservatism=config.conservatism)


NAMES = {"BCConfig": "bc", "TD3BCConfig": "td3bc", "CQLConfig": "cql", "IQLConfig": "iql"}
NAMES |= {"AWACConfig": "awac", "CRRConfig": "crr"}


def check(config: OfflineConfig, make: Callable[[View], Environment]) -> Iterator[tuple[str, str]]:
    """Yield nothing; raise Fatal where the algorithm does not take the environment. See `Algorithm.check`."""
    Method(NAMES[type(config).__name__], config, make("features").spaces).shape()
    yield from ()


def method_of(process: Process, spaces: Spaces) -> Method:
    """Return the algorithm of a process, which the keys of its config tell. Raises Fatal where it has no dataset."""
    config = read_config(process.config)
    if not config.dataset:
        raise Fatal("dataset: none is named. Set spec.algorithm.config.dataset.")
    return Method(NAMES[type(config).__name__], config, spaces)
