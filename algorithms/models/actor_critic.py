"""Networks of policy and value put together from encoders, memory and heads, as `network` in a config says."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from surreal.algorithms.environments.spaces import Spaces
from surreal.algorithms.models.blocks import Block, Dense, Part, initial
from surreal.algorithms.models.config import NetworkConfig
from surreal.algorithms.models.encoders import Encoder
from surreal.algorithms.models.memory import Memory, Segments
from surreal.algorithms.models.own import own_shape
from surreal.algorithms.networks import Layout, Shape
from surreal.algorithms.types import Array

if TYPE_CHECKING:
    from torch import Tensor


GSDE = "gsde.log_std"
"""Name of the log standard deviations [features, action] of gSDE's noise."""
GSDE_EPSILON = 1e-6
"""Variance that is added, so that features of zero leave a distribution."""


class ActorCritic(Layout):
    """Encoder, trunk, memory, and the heads of policy and value; or two encoders where nothing is shared."""

    def __init__(self, spaces: Spaces, network: NetworkConfig, hidden: Sequence[int]) -> None:
        """Take the widths `hidden` for the heads where the config says none and there are no images and no memory.

        Raises Fatal where an encoder does not take the observations.
        """
        self.spaces, self._init, self.squash = spaces, network.init, network.squash and not spaces.discrete
        leaves = spaces.leaves
        deep = network.memory is not None or spaces.sees_images
        self.shared = deep or bool(network.trunk) if network.shared is None else network.shared
        usual = [] if deep else list(hidden)
        self.state_dependent = network.std != "parameter" and not spaces.discrete
        self.gsde = network.std == "gsde" and not spaces.discrete
        self.gsde_steps = network.gsde_steps
        self.encoders = [Encoder(name, leaves, network) for name in self._names("encoder")]
        width = self.encoders[0].width
        self.trunk = Dense("trunk", width, network.trunk, network.activation, network.layer_norm)
        self.memory = Memory("memory", self.trunk.width, network.memory) if network.memory else None
        width = self.memory.width if self.memory else self.trunk.width
        self.policy, self.value = (
            Dense(name, width, usual if widths is None else widths, network.activation, network.layer_norm, out, gain)
            for name, widths, out, gain in (
                ("policy", network.policy, spaces.action if self.gsde else self.outputs, 0.01),
                ("value", network.value if network.value is not None else network.policy, 1, 1.0),
            )
        )
        self.state_size = self.memory.state_size if self.memory else 0

    def _names(self, of: str) -> tuple[str, ...]:
        return (of,) if self.shared else (f"policy.{of}", f"value.{of}")

    @property
    def outputs(self) -> int:
        """See Layout: means and log standard deviations side by side where these depend on the state."""
        return self.spaces.action * (2 if self.state_dependent else 1)

    @cached_property
    def described(self) -> dict[str, Part]:
        """Name -> part of all blocks, in the order they lie in the vector."""
        blocks: list[Block | Memory] = [*self.encoders, self.trunk, *([self.memory] if self.memory else [])]
        return dict(chain.from_iterable(block.parts.items() for block in (*blocks, self.policy, self.value)))

    @cached_property
    def parts(self) -> dict[str, tuple[int, ...]]:
        """See Layout."""
        parts = {name: part.shape for name, part in self.described.items()}
        if self.gsde:
            return {**parts, GSDE: (self.policy.features, self.spaces.action)}
        return parts if self.spaces.discrete or self.state_dependent else {**parts, "log_std": (self.spaces.action,)}

    def initial(self, rng: np.random.Generator, log_std: float) -> Array:
        """See Layout."""
        vector = np.zeros(self.size, dtype=np.float32)
        views = self.views(vector)
        for name, array in initial(self.described, rng, self._init).items():
            views[name][...] = array
        if self.gsde:
            views[GSDE][...] = log_std
        elif self.state_dependent:
            last = [name for name in self.policy.parts if name.endswith(".bias")][-1]
            views[last][self.spaces.action :] = log_std
        elif "log_std" in views:
            views["log_std"][:] = log_std
        return vector

    def of_values(self) -> Array:
        """See Layout."""
        found = np.zeros(self.size, dtype=np.bool_)
        if not self.shared:
            for name, part in self.views(found).items():
                part[...] = name.startswith("value.")
        return found

    def inputs(self) -> Array:
        """See Layout: of dense layers alone, and not where there are convolutions or a memory."""
        found = np.ones(self.size, dtype=np.float32)
        if self.memory is None and not self.spaces.sees_images:
            views = self.views(found)
            for name, part in self.described.items():
                if part.gain:
                    views[name][...] = part.inputs
        return found

    def encoded(self, tensors: Mapping[str, "Tensor"], rows: Any) -> "list[Tensor]":
        """See Layout: the features [n, width] of each encoder."""
        return [self.trunk.torch(tensors, encoder.torch(tensors, rows)) for encoder in self.encoders]

    def heads(
        self, tensors: Mapping[str, "Tensor"], encoded: Any, memory: "tuple[Tensor, Segments] | None" = None
    ) -> "tuple[Tensor, Tensor]":
        """See Layout."""
        if self.memory is not None:
            assert memory is not None
            encoded = [self.memory.torch(tensors, encoded[0], *memory)]
        policy = self._noisy(tensors, encoded[0]) if self.gsde else self.policy.torch(tensors, encoded[0])
        return policy, self.value.torch(tensors, encoded[-1]).squeeze(-1)

    def _noisy(self, tensors: Mapping[str, "Tensor"], x: "Tensor") -> "Tensor":
        """Return means and log standard deviations of the actions under gSDE; only its own parameters get a gradient.

        Raffin et al. 2022: the variance of theta x for theta with entries of the deviations exp(parameters).
        """
        import torch

        features = self.policy.torch_inside(tensors, x)
        variance = features.detach().square() @ tensors[GSDE].mul(2).exp()
        return torch.cat([self.policy.torch_last(tensors, features), 0.5 * (variance + GSDE_EPSILON).log()], dim=-1)

    def step(self, tensors: Mapping[str, "Tensor"], rows: Any, state: "Tensor") -> "tuple[Tensor, Tensor]":
        """See Layout."""
        x = self.trunk.torch(tensors, self.encoders[0].torch(tensors, rows))
        if self.memory is not None:
            x, state = self.memory.step(tensors, x, state)
        return self.policy.torch(tensors, x), state


def make_model(network: NetworkConfig, spaces: Spaces, hidden: Sequence[int], folder: Path | None = None) -> Layout:
    """Return the layout of the networks that a config names; two tanh networks of widths `hidden` by default.

    `folder` is where a module of one's own is looked for too. Raises Fatal for networks that do not take the spaces.
    """
    if network.make is not None:
        return own_shape(network.make, network.settings, spaces, folder)
    if network.plain and spaces.view == "features":
        return Shape(spaces, tuple(network.policy or hidden))
    return ActorCritic(spaces, network, hidden)


def network_data(network: NetworkConfig, hidden: Sequence[int], layout: Layout) -> dict[str, Any]:
    """Return the kind and the settings of the networks, for the description of a policy; see `described_model`."""
    if isinstance(layout, Shape):
        return {"kind": "pair", "hidden": list(layout.hidden)}
    if network.make is not None:
        return {"kind": "own", "make": network.make, "settings": network.settings}
    return {"kind": "actor-critic", "network": network.lasting(), "hidden": list(hidden)}


def described_model(data: Mapping[str, Any], spaces: Spaces, folder: Path | None) -> Layout | None:
    """Return the layout that `network_data` described; None for a kind that is not of here."""
    match data["kind"]:
        case "pair":
            return Shape(spaces, tuple(data["hidden"]))
        case "own":
            return own_shape(data["make"], data.get("settings", {}), spaces, folder)
        case "actor-critic":
            return ActorCritic(spaces, NetworkConfig(**data["network"]), data["hidden"])
    return None
