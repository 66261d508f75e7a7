"""Engines that differentiate PPO's loss, and the choice between them.

`analytic` (numpy, by hand) serves two tanh networks on a CPU, `compiled` does the same in loops of numba where a run is
long enough to pay for that; `autograd` (torch) serves any network on any device.
"""

from collections.abc import Sequence

from surreal.algorithms.devices import wants_gpu
from surreal.algorithms.networks import Layout, Shape
from surreal.algorithms.ppo.config import PPOConfig
from surreal.algorithms.ppo.gradients.base import Gradient
from surreal.algorithms.rollouts.config import SMALL
from surreal.algorithms.types import Array


def make_gradient(layout: Layout, config: PPOConfig, vector: Array, index: int = 0) -> Gradient:
    """Return the engine that the config asks for, with the initial parameters `vector` [size], for learner `index`.

    `auto` is by hand for two small tanh networks, whatever device there is, and autograd for all others. By hand is
    compiled where that pays.
    """
    # Each engine is imported only where it is used: torch takes seconds and 200 MB, numba a second and 50 MB.
    if isinstance(layout, Shape) and (
        config.gradients == "analytic" or (config.gradients == "auto" and not on_gpu(config, layout.hidden))
    ):
        if config.compiles:
            from surreal.algorithms.ppo.gradients.compiled import Compiled

            return Compiled(layout, config, vector)
        from surreal.algorithms.ppo.gradients.analytic import Analytic

        return Analytic(layout, config, vector)
    from surreal.algorithms.ppo.gradients.autograd import Autograd

    return Autograd(layout, config, vector, index)


def on_gpu(config: PPOConfig, hidden: Sequence[int]) -> bool:
    """Return True if two tanh networks of widths `hidden` are worth the GPU that this machine has."""
    return wants_gpu("cuda" if config.device == "cuda" else "cpu" if max(hidden) <= SMALL else config.device)
