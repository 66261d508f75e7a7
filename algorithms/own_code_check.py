"""Check of an experimenter's own code before a run: `python -P -m surreal.algorithms.own_code_check`.

It imports what an experiment names as `module:object` and asks the algorithm whether a network fits the spaces of the
environment. That may need torch and a simulator, so it runs in a process of its own, which also may hang or die.
Standard input is a Request as JSON, standard output a list of Findings; what the code itself prints goes to stderr.
"""

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from surreal.algorithms.own_code import ALGORITHM, CONFIG, ENV, MissingModuleError, import_own, load_own, own_names
from surreal.algorithms.registry import algorithm
from surreal.protocol.documents.locations import KeyPath
from surreal.protocol.errors import InvalidInput, SurrealError

Check = Callable[[Any, dict[str, Any], str], Iterable[tuple[str, str]]]


@dataclass(frozen=True)
class Request:
    """Names and settings of an experiment."""

    folder: str
    """Folder of the experimenter's own modules."""
    algorithm: str
    config: dict[str, Any]
    env: dict[str, Any]
    """The environment's part of the experiment file."""


@dataclass(frozen=True)
class Finding:
    """One thing that does not work."""

    path: KeyPath
    text: str
    missing: bool = False
    """True for a module that is not installed here: an image in a cluster may have it."""


def findings(request: Request) -> Iterator[Finding]:
    """Import all that is named, in the order of its use, then check the config against the environment's spaces."""
    named = own_names(request.algorithm, request.config, request.env)
    found = False
    for path, name in named.items():
        try:
            _load(path, name)
        except MissingModuleError as error:
            found = True
            yield Finding(path, str(error), missing=True)
        except InvalidInput as error:
            found = True
            yield Finding(path, str(error))
    if not found and any(path[:3] == CONFIG for path in named):
        yield from _misfits(request)


def _load(path: KeyPath, name: str) -> None:
    """Import one name. Raises InvalidInput, with file and line, for what does not work."""
    if path == ENV:
        # Importing the module registers its environments; `Id-v0` is no attribute of it.
        import_own(name, None)
    elif path == ALGORITHM:
        for role in algorithm(name).roles:
            load_own(role.entry_point, None)
    else:
        load_own(name, None)


def _misfits(request: Request) -> Iterator[Finding]:
    """Yield what the algorithm says of its config on the spaces of the environment."""
    described = algorithm(request.algorithm)
    if not described.check:
        return
    check: Check = load_own(described.check, None)
    config = described.config.model_validate(request.config)
    try:
        for key, text in check(config, request.env, request.folder):
            yield Finding((*CONFIG, key), text)
    except SurrealError as error:
        # The environment cannot be made.
        yield Finding(ENV, str(error), missing=isinstance(error.__cause__, ImportError))


def main() -> None:
    """Answer the request on standard input."""
    answer = os.dup(1)
    # The code may print; its words must not mix with the answer.
    os.dup2(2, 1)
    request = Request(**json.load(sys.stdin))
    sys.path.append(request.folder)
    os.write(answer, json.dumps([asdict(each) for each in findings(request)]).encode())


if __name__ == "__main__":
    main()
