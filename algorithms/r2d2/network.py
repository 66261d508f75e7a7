"""Network of R2D2: encoder, memory, and values of all choices, for acting (numpy) and for learning (torch).

With a memory it also takes in the last action and the last reward (Kapturowski et al. 2019, section 2.3). An actor's
state [n, state_size] has them behind the memory's own numbers: memory, one-hot last action, last reward. All of it is
zero where an episode begins.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from surreal.algorithms.computation.graph import Computation
from surreal.algorithms.environments.rows import count
from surreal.algorithms.environments.spaces import Spaces, View
from surreal.algorithms.models.blocks import Dense, Part, initial
from surreal.algorithms.models.config import NetworkConfig
from surreal.algorithms.models.encoders import Encoder
from surreal.algorithms.models.memory import Memory
from surreal.algorithms.networks import Layout, Policy
from surreal.algorithms.types import F32, Array, Bool
from surreal.protocol.errors import Fatal, InvalidInput

if TYPE_CHECKING:
    from torch import Tensor

    from surreal.algorithms.environments.environment import Environment

    # A policy that acts needs no settings of a training, and reading their models takes longer than its file does.
    from surreal.algorithms.r2d2.config import R2D2Config

RECURRENT_VALUES = "recurrent-values"
"""Kind of this network in the description of a policy."""


class RecurrentValues(Layout):
    """Layout of the network: which parts there are, how large, and their functions."""

    def __init__(self, spaces: Spaces, network: NetworkConfig, hidden: list[int], dueling: bool) -> None:
        """Raise Fatal where an encoder does not take the observations."""
        self.spaces, self._init, self.dueling = spaces, network.init, dueling
        self.encoder = Encoder("encoder", spaces.leaves, network)
        self.trunk = Dense("trunk", self.encoder.width, network.trunk, network.activation, network.layer_norm)
        self.extra = spaces.action + 1 if network.memory else 0
        """Inputs of the memory beside the observation: one-hot last action, last reward."""
        width = self.trunk.width + self.extra
        self.memory = Memory("memory", width, network.memory) if network.memory else None
        width = self.memory.width if self.memory else width
        of_state = [("value", 1)] if dueling else []
        self.heads_ = {
            name: Dense(name, width, hidden, network.activation, network.layer_norm, out)
            for name, out in (*of_state, ("advantage", spaces.action))
        }
        self.state_size = self.memory.state_size + self.extra if self.memory else 0

    @cached_property
    def described(self) -> dict[str, Part]:
        """Name -> part of all blocks, in the order they lie in the vector."""
        blocks: list[Any] = [self.encoder, self.trunk, *([self.memory] if self.memory else []), *self.heads_.values()]
        return dict(chain.from_iterable(block.parts.items() for block in blocks))

    @cached_property
    def parts(self) -> dict[str, tuple[int, ...]]:
        """See Layout."""
        return {name: part.shape for name, part in self.described.items()}

    def initial(self, rng: np.random.Generator, log_std: float = 0.0) -> Array:
        """See Layout; there is no `log_std`."""
        vector = np.zeros(self.size, dtype=np.float32)
        views = self.views(vector)
        for name, array in initial(self.described, rng, self._init).items():
            views[name][...] = array
        return vector

    def encoded(self, tensors: Mapping[str, "Tensor"], rows: Any) -> "Tensor":
        """Return the features [n, width] of observations [n, ...], before the memory."""
        return self.trunk.torch(tensors, self.encoder.torch(tensors, rows))

    def step(self, tensors: Mapping[str, "Tensor"], rows: Any, state: "Tensor") -> "tuple[Tensor, Tensor]":
        """Return the values [n, choices] and the next state, whose last action and reward are the caller's to note."""
        import torch

        x = self.encoded(tensors, rows)
        if self.memory is not None:
            own, last = state.split([self.memory.state_size, self.extra], dim=-1)
            x, kept = self.memory.step(tensors, torch.cat([x, last], dim=-1), own)
            state = torch.cat([kept, torch.zeros_like(last)], dim=-1)
        return self.values(tensors, x), state

    def values(self, tensors: Mapping[str, "Tensor"], x: "Tensor") -> "Tensor":
        """Return the values [n, choices] of the memory's outputs [n, width]: V + A - mean A where they are dueling."""
        advantage = self.heads_["advantage"].torch(tensors, x)
        if not self.dueling:
            return advantage
        return self.heads_["value"].torch(tensors, x) + advantage - advantage.mean(-1, keepdim=True)


class ValuePolicy(Policy):
    """Epsilon-greedy policy of the values of a RecurrentValues, in numpy; see `networks.Policy`."""

    def __init__(self, layout: RecurrentValues, epsilon: Array | float = 0.0) -> None:
        """Act at random with probability `epsilon`, one number or one [copies] for each copy."""
        self.choices, self.outputs, self.state_size = layout.spaces.choices, layout.spaces.action, layout.state_size
        self.epsilon = epsilon
        self._layout, self._vector = layout, np.zeros(layout.size, dtype=np.float32)
        self._log_std = None
        self._prepare()

    def load(self, vector: Array) -> None:
        """Take over the parameters [size]."""
        super().load(vector)
        self._prepare()

    def _prepare(self) -> None:
        layout, views = self._layout, self._layout.views(self._vector)
        self._encode, self._between = layout.encoder.acting(views), layout.trunk.acting(views)
        self._memory = layout.memory.acting(views) if layout.memory else None
        self._heads = {name: head.acting(views) for name, head in layout.heads_.items()}

    def forward(self, observations: Any) -> Array:
        """Return the values [n, choices] of observations [n, ...] at the start of an episode."""
        return self.advance(observations, self.initial_state(count(observations)))[0]

    def advance(self, observations: Any, state: Array) -> tuple[Array, Array]:
        """Return the values [n, choices] and the next state, which takes the best choice for the last action."""
        x = self._between(self._encode(observations))
        following = state
        if self._memory is not None:
            own = self.state_size - self._layout.extra
            x, kept = self._memory(np.concatenate([x, state[:, own:]], axis=1), state[:, :own])
            following = np.zeros_like(state)
            following[:, :own] = kept
        values = self._heads["advantage"](x)
        if self._layout.dueling:
            values += self._heads["value"](x) - values.mean(axis=1, keepdims=True)
        if self._memory is not None:
            self.noted(following, values.argmax(axis=1), np.zeros(len(values), dtype=np.float32))
        return values, following

    def noted(self, state: Array, actions: Array, rewards: Array) -> None:
        """Write what was done and what it brought into `state` [n, state_size], which the next step takes in."""
        if self.state_size:
            own = self.state_size - self._layout.extra
            state[:, own:] = 0.0
            state[np.arange(len(state)), own + actions] = 1.0
            state[:, -1] = rewards

    def symbolic(self, graph: Computation, rows: Any, state: str) -> tuple[str, str]:
        """Raise InvalidInput: a graph of operations would need the rewards, which no other policy is given."""
        raise InvalidInput(
            "policy: one of r2d2 takes in the last reward, and has no export. Load it with surreal.load."
        )

    def noise(self, rng: np.random.Generator, shape: tuple[int, ...]) -> F32:
        """Draw for steps [..., copies, choices]: infinite for one choice where the action is random, else 0."""
        explore: Bool = rng.random(shape[:-1]) < self.epsilon
        choice = rng.integers(shape[-1], size=shape[:-1])
        noise = np.zeros(shape, dtype=np.float32)
        noise[(*np.nonzero(explore), choice[explore])] = np.inf
        return noise

    def act(self, out: Array, noise: Array) -> Array:
        """Return the best choices [n], or those that the noise says."""
        return np.asarray(np.argmax(out + noise, axis=-1))

    def log_prob(self, outs: Array, actions: Array) -> Array:
        """Return the values [...] that the choices taken were given: what acting knew of them."""
        return np.asarray(np.take_along_axis(outs, actions[..., None], axis=-1)[..., 0])


def make_layout(config: "R2D2Config", spaces: Spaces) -> RecurrentValues:
    """Return the layout of the network for an environment.

    Raises Fatal where its actions are no single choice, or an encoder does not take its observations.
    """
    if len(spaces.choices) != 1:
        raise Fatal(
            f"algorithm.name: 'r2d2' takes one choice at a time, the environment has {spaces.action_space}. Choose ppo."
        )
    return RecurrentValues(spaces, config.network, config.hidden, config.dueling)


def check(config: "R2D2Config", make: "Callable[[View], Environment]") -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the network, or else what it is; raise Fatal for actions of another kind.

    See `Algorithm.check`.
    """
    # a policy that acts needs no sentences about its network
    from surreal.algorithms.models.summary import check_network

    return check_network(config, make, lambda spaces: make_layout(config, spaces))


def epsilons(config: "R2D2Config", actor: int, actors: int, copies: int) -> F32:
    """Return epsilon [copies] of an actor's copies: epsilon^(1 + ladder i / (N - 1)) for copy i of all N.

    Horgan et al. 2018, section 4.1, where each actor has one copy. One alone has the middle of the exponents.
    """
    every = actors * copies
    place = (actor * copies + np.arange(copies)) / (every - 1) if every > 1 else np.full(1, 0.5)
    return np.asarray(config.epsilon ** (1 + config.epsilon_ladder * place), dtype=np.float32)
