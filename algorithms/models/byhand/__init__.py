"""Networks whose gradients are written by hand, for a CPU: two tanh networks, and a small convolutional one."""

from math import inf
from typing import Protocol

from surreal.algorithms.devices import Device, wants_gpu
from surreal.algorithms.models.actor_critic import ActorCritic
from surreal.algorithms.models.byhand.convolved import Convolved, convolved
from surreal.algorithms.models.byhand.network import Network
from surreal.algorithms.models.byhand.pair import Pair
from surreal.algorithms.models.config import Engine
from surreal.algorithms.networks import Layout, Shape
from surreal.algorithms.types import Array
from surreal.protocol.errors import Fatal


def by_hand(layout: Layout) -> bool:
    """Return True if a gradient of `layout` is written by hand."""
    return isinstance(layout, Shape) or convolved(layout) is not None


class Settings(Protocol):
    """Settings of a learner that say what differentiates its network; see `RolloutConfig`."""

    @property
    def gradients(self) -> Engine:
        """Return the engine that is asked for."""

    @property
    def device(self) -> Device:
        """Return the device that is asked for."""

    @property
    def precision(self) -> str:
        """Return the type of numbers of the forward pass."""

    @property
    def compile(self) -> bool:
        """Return True if torch is to translate the network."""


def chosen(layout: Layout, settings: Settings) -> bool:
    """Return True if `layout` is to be differentiated by hand.

    `auto` is by hand where there is no GPU, and for two tanh networks of at most SMALL units though there is one; but
    not for images where the settings name what only torch does. Raises Fatal where a network is asked for by hand that
    none is written for.
    """
    known, pair = by_hand(layout), isinstance(layout, Shape)
    if settings.gradients == "analytic" and not known:
        text = "'analytic' has no gradient of this network. Set auto or autograd."
        raise Fatal(f"spec.algorithm.config.gradients: {text}")
    only_torch = not pair and (settings.precision != "float32" or settings.compile)
    if settings.gradients != "auto" or not known or only_torch:
        return settings.gradients == "analytic"
    return not wants_gpu(settings.device, max(layout.hidden) if isinstance(layout, Shape) else inf)


def make_network(layout: Layout, vector: Array, compiled: bool = False) -> Network:
    """Return the network of a layout that `chosen` is true of, with the parameters `vector` [size].

    With `compiled` a convolution is a loop that numba compiles; two tanh networks stay in numpy.
    """
    if isinstance(layout, Shape):
        return Pair(layout, vector)
    assert isinstance(layout, ActorCritic)
    return Convolved(layout, vector, compiled)
