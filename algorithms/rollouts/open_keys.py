"""Keys that a config leaves open, until the observations and actions of a run decide them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from surreal.algorithms.rollouts.config import RolloutConfig

D = TypeVar("D", bound="RolloutConfig")


@dataclass(frozen=True)
class Open:
    """Values of one key that may be None: the usual one, and another where observations or actions ask for it."""

    usual: Any
    images: Any = None
    """Value where observations are images; None for the usual one."""
    choices: Any = None
    """Value where actions are choices; None for the usual one."""

    def value(self, images: bool, choices: bool) -> Any:
        """Return what a run has, where observations are `images` or not, and actions `choices` or numbers."""
        if images and self.images is not None:
            return self.images
        return self.choices if choices and self.choices is not None else self.usual


def decide(config: "RolloutConfig", kind: type[D], images: bool, choices: bool, **more: Any) -> D:
    """Return `config` as a `kind` that has no open key, and the values of `more`; nothing is validated again."""
    said = {name: getattr(config, name) for name in type(config).model_fields}
    openings: Mapping[str, Open] = config.openings
    found = {name: each.value(images, choices) for name, each in openings.items() if said[name] is None}
    return cast(D, kind.model_construct(**said | found | more))
