"""Draft of an experiment: what is translated of an entry so far, what is left of it, and what cannot be said here."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from surreal.algorithms.algorithm import Algorithm
from surreal.protocol.errors import InvalidInput


class Untranslated(NamedTuple):
    """A key that an experiment file has no words for."""

    key: str
    value: Any
    why: str
    """State of things instead."""

    def __str__(self) -> str:
        return f"{self.key}: {' '.join(str(self.value).split())}: {self.why}"


class Draft:
    """An experiment in the making."""

    def __init__(self, entry: Mapping[str, Any], algorithm: Algorithm) -> None:
        """Begin with the keys of `entry`, to be taken one by one."""
        self.left = dict(entry)
        self.algorithm = algorithm
        self.env: dict[str, Any] = {}
        self.config: dict[str, Any] = {}
        self.actors = 1
        self.untranslated: list[Untranslated] = []

    def take(self, key: str, default: Any = None, read: Callable[[Any], Any] = lambda value: value) -> Any:
        """Return the value of a key, read by `read`, and take it out; `default` where it is not there."""
        value = self.left.pop(key, default)
        try:
            return read(value)
        except InvalidInput as error:
            raise InvalidInput(f"{key}: {error}") from None

    def cannot(self, key: str, value: Any, why: str) -> None:
        """Note that a key is not translated, and why."""
        self.untranslated.append(Untranslated(key, value, why))

    def copy(self, names: Mapping[str, tuple[str, Any]]) -> None:
        """Set config keys to the values of keys of the same meaning: zoo's key -> (ours, its default there)."""
        for key, (ours, default) in names.items():
            value = self.take(key, default)
            self.config[ours] = float(value) if isinstance(value, str) else value

    def refuse_images(self, policy: str) -> None:
        """Raise InvalidInput for a `policy` of images: the algorithm takes vectors, and so could not run."""
        if policy.startswith("Cnn"):
            name = self.algorithm.name
            text = f"{policy!r} sees images, and {name} of surreal takes observations that are one vector of numbers"
            raise InvalidInput(f"policy: {text}. Name ppo.yml or a2c.yml, or another --env.")

    def has(self, key: str) -> bool:
        """Return True where the algorithm's config has this key."""
        return key in self.algorithm.config.model_fields

    def finish(self) -> None:
        """Note every key that no translation took."""
        for key, value in self.left.items():
            self.cannot(key, value, "has no counterpart")
        self.left = {}
