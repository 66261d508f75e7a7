"""Engines of IMPALA's gradient: by hand in numpy for small tanh networks, by torch's autograd for the rest."""

from surreal.algorithms.impala.config import IMPALAConfig
from surreal.algorithms.impala.gradients.base import Gradient
from surreal.algorithms.networks import Layout, Shape
from surreal.algorithms.types import Array


def make_gradient(layout: Layout, config: IMPALAConfig, vector: Array) -> Gradient:
    """Return the engine that the config asks for, with the initial parameters `vector` [size]."""
    # Each engine is imported only where it is used: torch takes seconds and 200 MB.
    if isinstance(layout, Shape) and config.by_hand(layout.hidden):
        from surreal.algorithms.impala.gradients.analytic import Analytic

        return Analytic(layout, config, vector)
    from surreal.algorithms.impala.gradients.autograd import Autograd

    return Autograd(layout, config, vector)
