"""Locations of the parts of a document, so that an error can point at its line."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from surreal.protocol.errors import InvalidInput

KeyPath = tuple[str | int, ...]
"""Keys and indices from the top of a document: `("spec", "env", "id")`."""

SET = 0
"""The line of what came from `--set`."""

MAX_PROBLEMS = 20
"""Problems named at once; a document with more is another kind of file."""
MAX_WORDS = 2000
"""Characters of one problem; a bad value may be a megabyte."""

Problem = tuple[KeyPath, str]
"""A key's path, and a sentence on what is wrong there."""


@dataclass(frozen=True)
class Source:
    """A document's file name and the line of each key. Two sources always compare equal: they are no content."""

    name: str = field(default="document", compare=False)
    lines: dict[KeyPath, int] = field(default_factory=dict, compare=False)
    has_lines: bool = field(default=True, compare=False)
    """False for a value of a command line."""

    def line(self, path: KeyPath) -> int:
        """Return the line of `path`, or of the nearest key above it that was written; 1 at the top."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def locate(self, path: KeyPath) -> str:
        """Return `experiment.yaml:12: spec.env.id`, or `--set spec.env.id`."""
        line = self.line(path)
        where = "--set " if line == SET else f"{self.name}:{line}: "
        return where + ".".join(map(str, path)) if path else where.removesuffix(": ")

    def invalid(self, problems: Iterable[Problem]) -> InvalidInput:
        """Return one error that says `problems`, in the order of their lines, as far as a person would read."""
        ordered = sorted(problems, key=lambda problem: self.line(problem[0]))
        words = [f"{self.locate(path)}: {text}" for path, text in ordered[:MAX_PROBLEMS]]
        words = [text if len(text) <= MAX_WORDS else f"{text[:MAX_WORDS]}..." for text in words]
        more = [f"{self.name}: and {len(ordered) - MAX_PROBLEMS} more problems"] if ordered[MAX_PROBLEMS:] else []
        return InvalidInput("\n".join(words + more))

    def invalid_line(self, line: int, text: str) -> InvalidInput:
        """Return an error at a line where no key is known."""
        return InvalidInput(f"{self.name}:{line}: {text}" if self.has_lines else f"{self.name}: {text}")
