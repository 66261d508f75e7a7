"""Import of an experimenter's own objects by name (`my_module:REINFORCE`), from the experiment's folder.

A module of one's own may do anything when it is imported, so every error names the file and line it came from.
"""

import importlib
import inspect
import os
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from surreal.protocol.documents.locations import KeyPath
from surreal.protocol.errors import InvalidInput, did_you_mean

ALGORITHM: KeyPath = ("spec", "algorithm", "name")
CONFIG: KeyPath = ("spec", "algorithm", "config")
ENV: KeyPath = ("spec", "env", "id")
EXTRAS = {"ale_py": "atari", "gymnasium_robotics": "robotics", "minatar": "minatar", "shimmy": "dm_control"}
"""Module -> the extra of this package that installs it."""

CALLERS = (str(Path(__file__).parents[1]), "<frozen", os.path.join("site-packages", "gymnasium", ""))
"""Parts of the names of files that call one's own code."""


def is_own(name: str) -> bool:
    """Return True for a name of the form `module:object`."""
    module, colon, attribute = name.partition(":")
    return bool(colon) and all(part.isidentifier() for part in (*module.split("."), *attribute.split(".")))


def own_names(algorithm: str, config: dict[str, Any], env: Mapping[str, Any]) -> dict[KeyPath, str]:
    """Return key -> `module:object` of all that an experiment names as one's own; `env` is the file's `spec.env`.

    A value of the config counts if it is such a name, or a mapping whose `make` is one.
    """
    named = {ALGORITHM: algorithm, ENV: str(env["id"])}
    for path in (("wrappers",), ("evaluation", "wrappers")):
        named |= {(*ENV[:2], *path, number): name for number, name in enumerate(_wrappers(env, path))}
    for key, value in config.items():
        name = value.get("make") if isinstance(value, dict) else value
        if isinstance(name, str) and is_own(name):
            named[*CONFIG, key] = name
    return {path: name for path, name in named.items() if ":" in name}


def _wrappers(env: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    """Return the names in a list of wrappers, whose entries are a name or `name: arguments`."""
    entries: Any = env
    for key in path:
        entries = (entries or {}).get(key)
    return [entry if isinstance(entry, str) else next(iter(entry), "") for entry in entries or ()]


class MissingModuleError(InvalidInput):
    """A module is not here; it may be where the run is."""


def load_own(name: str, folder: Path | None, wanted: type | None = None) -> Any:
    """Return the object that `name` (`module:object`) names.

    Its module is looked for among the installed ones, then in `folder`; None is no folder, as in a worker whose
    `sys.path` already has it. Raises InvalidInput, with file and line, for a module that is not there or raises, for an
    object that is not there or is no `wanted`.
    """
    module_name, _, attribute = name.partition(":")
    if module_name == "__main__":
        raise InvalidInput(in_main(name))
    module = import_own(name, folder)
    found: Any = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            near = did_you_mean(part, vars(module))
            raise InvalidInput(f"{name!r}: {_file(module)} has no {attribute!r}{near}. Define it there.")
        found = getattr(found, part)
    if wanted is not None and not isinstance(found, wanted):
        kind = f"{_file(module)}: {attribute} is a {type(found).__name__}"
        raise InvalidInput(f"{name!r} is no {wanted.__name__}: {kind}. Name an object made by {wanted.__name__}(...).")
    return found


def in_main(name: str) -> str:
    """Return the sentence on an object of the program itself, of a notebook for instance."""
    return f"{name!r}: it lives in the program that was started, which workers cannot import. Move it to a module."


def where_raised(error: BaseException, beside: Path | None = None) -> str:
    """Return `file:line` of the innermost frame of `error` in the folder `beside`, or else outside this library."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return own_line(error, beside) or f"{frame.filename}:{frame.lineno}"


def own_line(error: BaseException, beside: Path | None = None) -> str:
    """Return `where_raised` of `error` or of what caused it; empty where only libraries that call one's code ran."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    frames = [frame for each in _chain(error) for frame in reversed(traceback.extract_tb(each.__traceback__))]
    near = [f for f in frames if beside is not None and is_below(f.filename, beside)]
    others = [f for f in frames if not any(part in f.filename for part in CALLERS)]
    return next((f"{frame.filename}:{frame.lineno}" for frame in near or others), "")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what it was raised from: gymnasium says some again in its own words."""
    while error is not None:
        yield error
        error = error.__cause__


def is_below(file: str, folder: Path) -> bool:
    """Return True for a file of that folder, with or without a line, but not of an environment of packages in it."""
    path = Path(file)
    return bool(file) and path.is_relative_to(folder) and "site-packages" not in path.relative_to(folder).parts


def defined_at(thing: Any) -> str:
    """Return `file:line` of the definition of a class or function; empty where it is not of Python."""
    try:
        return f"{inspect.getsourcefile(thing)}:{inspect.getsourcelines(thing)[1]}"
    except (TypeError, OSError):
        return ""


def import_own(name: str, folder: Path | None) -> Any:
    """Return the module of `name` (`module:object`), looked for as `load_own` does.

    Raises InvalidInput, with file and line, for one that raises; MissingModuleError for one that is not there.
    """
    module = name.partition(":")[0]
    with _importable(folder):
        if find_top(module) is None:
            top, where = module.split(".")[0], "there" if folder else "beside the experiment file"
            remedy = f"Run pip install 'surreal[{EXTRAS[top]}]'." if top in EXTRAS else f"Put {top}.py {where}."
            places = f"{folder or 'the folder of the experiment'} or the installed packages"
            text = f"{name!r}: there is no module {module!r} in {places}. {remedy}"
            raise MissingModuleError(text)
        try:
            return importlib.import_module(module)
        # A module may even call sys.exit; none of that may end the command that only wanted to read it.
        except (Exception, SystemExit) as error:
            text = " ".join(f"{type(error).__name__}: {error}".split())
            place = where_raised(error, folder.absolute() if folder else None)
            kind = MissingModuleError if isinstance(error, ModuleNotFoundError) else InvalidInput
            raise kind(f"{name!r} cannot be imported: {place}: {text}. Correct that line.") from error


def find_top(module: str) -> Any:
    """Return the spec of the top-level package of `module`; None if it is nowhere."""
    top = module.split(".")[0]
    return sys.modules.get(top) or find_spec(top)


def _file(module: Any) -> str:
    return str(getattr(module, "__file__", None) or module.__name__)


@contextmanager
def _importable(folder: Path | None) -> Iterator[None]:
    """Have imports look into `folder` last, and forget afterwards what came from it.

    Two experiments may have different modules of one name, and a file may change between two commands of a notebook.
    """
    if folder is None:
        yield
        return
    path, before = str(folder.absolute()), set(sys.modules)
    sys.path.append(path)
    importlib.invalidate_caches()
    try:
        # What a module prints must not mix with the data that a command prints.
        with redirect_stdout(sys.stderr):
            yield
    finally:
        sys.path.remove(path)
        for name in set(sys.modules) - before:
            if (getattr(sys.modules[name], "__file__", None) or "").startswith(path):
                del sys.modules[name]
