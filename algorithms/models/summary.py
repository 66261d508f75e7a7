"""Sentences about a network: its parts, its parameters, its memory."""

from collections.abc import Callable, Iterator
from math import prod
from typing import Any

from surreal.algorithms.environments.environment import Environment
from surreal.algorithms.environments.spaces import Spaces, View
from surreal.algorithms.models.actor_critic import ActorCritic, make_model
from surreal.algorithms.models.byhand import by_hand
from surreal.algorithms.models.byhand.convolved import convolved
from surreal.algorithms.models.config import CONVOLVED, OF_IMAGES, TANH
from surreal.algorithms.models.own import KEY, OwnShape
from surreal.algorithms.networks import Layout, Shape
from surreal.protocol.errors import Fatal, SurrealError

COPIES = 4
"""Vectors of a learner: parameters, gradient, and Adam's two moments."""


def summary(layout: Layout) -> str:
    """Return what a layout consists of, in one line."""
    size = layout.size
    learner, copy = (f"{number * 4 * size / 1e6:,.1f} MB" for number in (COPIES, 1))
    words = f"{OF_IMAGES if layout.spaces.sees_images else 'network'}: {_kind(layout)}"
    return f"{words}: {size:,} parameters, {learner} in the learner with Adam, {copy} a copy"


def _kind(layout: Layout) -> str:
    if isinstance(layout, Shape):
        return f"two {TANH} of {'-'.join(map(str, layout.hidden))} units"
    if isinstance(layout, OwnShape):
        return "one's own"
    groups: dict[str, int] = {}
    for name, shape in layout.parts.items():
        head = name.partition(".")[0]
        groups[head] = groups.get(head, 0) + prod(shape)
    parts = ", ".join(f"{name} {number:,}" for name, number in groups.items())
    return f"{CONVOLVED} of {parts}" if isinstance(layout, ActorCritic) and convolved(layout) else parts


def check(config: Any, make: Callable[[View], Environment]) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the network that `config` names, or else what it is: see `Algorithm.check`."""
    return check_network(config, make, lambda spaces: make_model(config.network, spaces, config.hidden))


def check_network(
    config: Any, make: Callable[[View], Environment], layout_of: Callable[[Spaces], Layout]
) -> Iterator[tuple[str, str]]:
    """Yield as `check` does of the network that `layout_of` makes for the spaces of the environment.

    Raises Fatal where the algorithm takes no such environment, whatever the network.
    """
    try:
        env = make(config.network.view)
    except Fatal as error:
        # An environment of images says so where numbers were asked for.
        if "network for images" not in str(error):
            raise
        yield "network", str(error)
        return
    try:
        layout = layout_of(env.spaces)
        yield "", summary(layout)
        if getattr(config, "gradients", "auto") == "analytic" and not by_hand(layout):
            yield "gradients", "'analytic' has no gradient of this network. Set auto or autograd."
    except SurrealError as error:
        if not str(error).startswith(KEY):
            raise
        yield "network", str(error).removeprefix(KEY).lstrip(".: ")
