"""Networks whose gradients are written by hand, for a CPU: two tanh networks, and a small convolutional one."""

from surreal.algorithms.devices import Device, wants_gpu
from surreal.algorithms.models.actor_critic import ActorCritic
from surreal.algorithms.models.byhand.convolved import Convolved, convolved
from surreal.algorithms.models.byhand.network import Network
from surreal.algorithms.models.byhand.pair import Pair
from surreal.algorithms.models.config import SMALL, Engine
from surreal.algorithms.networks import Layout, Shape
from surreal.algorithms.types import Array
from surreal.protocol.errors import Fatal


def chosen(layout: Layout, engine: Engine, device: Device) -> bool:
    """Return True if `layout` is to be differentiated by hand, for the settings `gradients` and `device` of a config.

    `auto` is by hand where there is no GPU, and for two tanh networks of at most SMALL units though there is one.
    Raises Fatal where a network is asked for by hand that none is written for.
    """
    known = isinstance(layout, Shape) or convolved(layout) is not None
    if engine == "analytic" and not known:
        text = "no gradient is written by hand for this network"
        raise Fatal(f"spec.algorithm.config.gradients: 'analytic' {text}. Set auto or autograd.")
    if engine != "auto" or not known:
        return engine == "analytic"
    small = isinstance(layout, Shape) and max(layout.hidden) <= SMALL and device != "cuda"
    return not wants_gpu("cpu" if small else device)


def make_network(layout: Layout, vector: Array, compiled: bool = False) -> Network:
    """Return the network of a layout that `chosen` is true of, with the parameters `vector` [size].

    With `compiled` a convolution is a loop that numba compiles; two tanh networks stay in numpy.
    """
    if isinstance(layout, Shape):
        return Pair(layout, vector)
    assert isinstance(layout, ActorCritic)
    return Convolved(layout, vector, compiled)
