"""Engines that differentiate PPO's loss, and the choice between them.

`analytic` (numpy, by hand) serves two tanh networks and small convolutional ones on a CPU, compiled by numba where a
run is long enough to pay for that; `autograd` (torch) serves any network on any device.
"""

from surreal.algorithms.models.byhand import chosen
from surreal.algorithms.networks import Layout, Shape
from surreal.algorithms.ppo.config import PPOConfig
from surreal.algorithms.ppo.gradients.base import Gradient
from surreal.algorithms.types import Array


def make_gradient(layout: Layout, config: PPOConfig, vector: Array, index: int = 0) -> Gradient:
    """Return the engine that the config asks for, with the initial parameters `vector` [size], for learner `index`."""
    config = config.of(layout)
    # Each engine is imported only where it is used: torch takes seconds and 200 MB, numba a second and 50 MB.
    if chosen(layout, config):
        if config.compiles and isinstance(layout, Shape):
            from surreal.algorithms.ppo.gradients.compiled import Compiled

            return Compiled(layout, config, vector)
        from surreal.algorithms.ppo.gradients.analytic import Analytic

        return Analytic(layout, config, vector)
    from surreal.algorithms.ppo.gradients.autograd import Autograd

    return Autograd(layout, config, vector, index)
