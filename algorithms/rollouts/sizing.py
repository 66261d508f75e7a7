"""Sentences of a plan about the networks and the actions of an algorithm of rollouts."""

from collections.abc import Iterator, Mapping
from typing import Any

from surreal.algorithms.models.config import TANH
from surreal.algorithms.models.probe import Found, look
from surreal.algorithms.rollouts.config import SMALL, RolloutConfig

ACTIONS = {
    "auto": "an action of numbers: the policy's -1 to 1 is spread over the bounds (env.actionScaling: auto)",
    "none": "an action of numbers is taken as the policy gives it, within the bounds (env.actionScaling: none)",
}
"""Note of a plan for each choice of `env.actionScaling`."""


def looked_at(config: RolloutConfig, env: Mapping[str, Any]) -> Found:
    """Return what making the environment says of the network; nothing where that is known without."""
    return look(config.network, config.hidden, env) if _worth_a_look(config, env) else Found()


def _worth_a_look(config: RolloutConfig, env: Mapping[str, Any]) -> bool:
    """Return True unless the networks surely are two tanh networks on numbers, as for gymnasium's own environments."""
    return not config.network.plain or any(mark in str(env.get("id", "")) for mark in "/:") or bool(env.get("wrappers"))


def network_notes(config: RolloutConfig, found: Found) -> Iterator[str]:
    """Yield what the networks are and how they are differentiated; `found` is what `looked_at` returned."""
    network = config.network
    plain = network.plain and (not found.note or TANH in found.note)
    if network.make is not None:
        yield f"the networks of policy and value are made by {network.make}, gradients by autograd"
    elif plain:
        widths = "-".join(map(str, network.policy or config.hidden))
        yield f"policy and value are {TANH} of {widths} units, gradients {_engine(config, plain)}"
    else:
        yield f"gradients {_engine(config, plain)}"
    if found.note:
        yield found.note


def _engine(config: RolloutConfig, plain: bool) -> str:
    small = plain and max(config.network.policy or config.hidden) <= SMALL and config.device != "cuda"
    if plain and config.gradients != "autograd" and (small or config.device == "cpu"):
        return "by hand on the CPU"
    places = {"auto": "a GPU where there is one, else on the CPU", "cuda": "the GPU", "cpu": "the CPU"}
    return f"by autograd on {places[config.device]}"
