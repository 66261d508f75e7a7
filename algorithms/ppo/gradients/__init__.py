"""Engines that differentiate PPO's loss, and the choice between them.

`analytic` (numpy, by hand) serves the built-in networks on a CPU; `autograd` (torch) serves any device.
"""

from surreal.algorithms.devices import wants_gpu
from surreal.algorithms.networks import Shape
from surreal.algorithms.ppo.config import PPOConfig
from surreal.algorithms.ppo.gradients.base import Gradient
from surreal.algorithms.types import Array


def make_gradient(shape: Shape, config: PPOConfig, vector: Array) -> Gradient:
    """Return the engine that the config asks for, with the initial parameters `vector` [size].

    `auto` is analytic on a CPU and autograd on a GPU.
    """
    # Each engine is imported only where it is used: torch takes seconds and 200 MB.
    if config.network is None and (
        config.gradients == "analytic" or (config.gradients == "auto" and not wants_gpu(config.device))
    ):
        from surreal.algorithms.ppo.gradients.analytic import Analytic

        return Analytic(shape, config, vector)
    from surreal.algorithms.ppo.gradients.autograd import Autograd

    return Autograd(shape, config, vector)
