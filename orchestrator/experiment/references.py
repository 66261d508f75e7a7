"""References to a user's own objects: `module:Name`, which every process of the run imports anew."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from surreal.algorithms.algorithm import Algorithm, Configured
from surreal.algorithms.registry import algorithms
from surreal.protocol.errors import InvalidInput


def reference(algorithm: Algorithm | Configured | str) -> dict[str, Any]:
    """Return the file's `spec.algorithm` for an algorithm: its name, and its config where there is one.

    Raises InvalidInput for an Algorithm that no module holds under a name.
    """
    if isinstance(algorithm, str):
        return {"name": algorithm}
    if not isinstance(algorithm, Algorithm | Configured):
        raise InvalidInput(f"algorithm: {algorithm!r} is no algorithm. Give one such as surreal.PPO(), or its name.")
    if isinstance(algorithm, Configured):
        return {**reference(algorithm.algorithm), "config": dict(algorithm.config)}
    if algorithms().get(algorithm.name) is algorithm:
        return {"name": algorithm.name}
    module, name = _home(algorithm)
    return {"name": f"{module.__name__}:{name}"}


def source_folder(algorithm: Algorithm | Configured | str) -> Path | None:
    """Return the folder that holds the module of a user's own algorithm; None for a built-in one or a name."""
    if isinstance(algorithm, Configured):
        return source_folder(algorithm.algorithm)
    if isinstance(algorithm, str) or algorithms().get(algorithm.name) is algorithm:
        return None
    module, _ = _home(algorithm)
    if not module.__file__:
        return None
    # a module of a package is imported from the folder above the package
    return Path(module.__file__).absolute().parents[module.__name__.count(".") + hasattr(module, "__path__")]


def _home(algorithm: Algorithm) -> tuple[ModuleType, str]:
    """Return the module that holds `algorithm`, and its name there."""
    own = {role.entry_point.partition(":")[0] for role in algorithm.roles}
    # a module of one of its roles comes first: others may only import it
    modules = [*(name for name in own if name in sys.modules), *list(sys.modules)]
    for module_name in modules:
        module = sys.modules[module_name]
        for name, value in list(vars(module).items()) if isinstance(module, ModuleType) else ():
            if value is algorithm and module_name != "__main__":
                return module, name
    raise InvalidInput(
        f"algorithm: {algorithm.name!r} has no importable name, and workers import it in processes of their own. "
        f"Assign it to a name at the top of a module, and import that module here."
    )
