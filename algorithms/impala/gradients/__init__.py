"""Engines of IMPALA's gradient: by hand in numpy for small networks, by torch's autograd for the rest."""

from surreal.algorithms.impala.config import IMPALAConfig
from surreal.algorithms.impala.gradients.base import Gradient
from surreal.algorithms.models.byhand import chosen
from surreal.algorithms.networks import Layout
from surreal.algorithms.types import Array


def make_gradient(layout: Layout, config: IMPALAConfig, vector: Array) -> Gradient:
    """Return the engine that the config asks for, with the initial parameters `vector` [size]."""
    # Each engine is imported only where it is used: torch takes seconds and 200 MB.
    if chosen(layout, config):
        from surreal.algorithms.impala.gradients.analytic import Analytic

        return Analytic(layout, config, vector)
    from surreal.algorithms.impala.gradients.autograd import Autograd

    return Autograd(layout, config, vector)
