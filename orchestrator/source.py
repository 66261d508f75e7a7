"""Where the parts of a document were written, so that an error can point at its line."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from surreal.protocol.errors import InvalidInput

KeyPath = tuple[str | int, ...]
"""Keys and indices from the top of a document: `("spec", "env", "id")`."""

SET = 0
"""The line of what came from `--set`."""

Problem = tuple[KeyPath, str]
"""Where and what: a key's path and a sentence."""


@dataclass(frozen=True)
class Source:
    """A document's file name and the line of each key. Two sources always compare equal: they are no content."""

    name: str = field(default="experiment", compare=False)
    lines: dict[KeyPath, int] = field(default_factory=dict, compare=False)

    def line(self, path: KeyPath) -> int:
        """The line of `path`, or of the nearest key above it that was written; 1 at the top."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def locate(self, path: KeyPath) -> str:
        """`experiment.yaml:12: spec.env.id`, or `--set spec.env.id`."""
        line = self.line(path)
        where = "--set " if line == SET else f"{self.name}:{line}: "
        return where + ".".join(map(str, path)) if path else where.removesuffix(": ")

    def invalid(self, problems: Iterable[Problem]) -> InvalidInput:
        """One error that says all `problems`, in the order of their lines."""
        ordered = sorted(problems, key=lambda problem: self.line(problem[0]))
        return InvalidInput("\n".join(f"{self.locate(path)}: {text}" for path, text in ordered))

    def invalid_line(self, line: int, text: str) -> InvalidInput:
        """An error at a line where no key is known."""
        return InvalidInput(f"{self.name}:{line}: {text}")
