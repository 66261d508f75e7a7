"""What travels on `weights`: the parameter vector and the observation statistics of one version."""

from surreal.algorithms.networks import Policy
from surreal.algorithms.normalizers import Standardizer
from surreal.algorithms.types import Array
from surreal.protocol.broadcast.publisher import Publisher
from surreal.protocol.wire.packet import Message


def publish(
    channel: Publisher, version: int, parameters: Array, standardize: Standardizer, steps: int, final: bool
) -> None:
    """Send version `version`, reached after `steps` environment steps; `final` says that none will follow."""
    arrays = {"parameters": parameters, "shift": standardize.shift, "scale": standardize.scale}
    channel.publish(arrays, {"steps": steps, "final": final}, version)


def apply(message: Message, policy: Policy) -> Standardizer:
    """Load the weights into `policy`; returns the standardizer that belongs to them."""
    policy.load(message.arrays["parameters"])
    return Standardizer(message.arrays["shift"], message.arrays["scale"])
