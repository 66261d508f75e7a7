"""Start one benchmark by its name, or list them all.

    python benchmarks                      # every room with its scripts, a line each
    python benchmarks es.alone --help      # ROOM.SCRIPT, then the script's own arguments

Python puts this folder first on sys.path, as it does for `python benchmarks/suite.py`. So scripts import each other by
one name, under any interpreter that has surreal, and the repository's root stays off sys.path (decision 1).
"""

import ast
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from learning.ending import unwind_at_sigterm
from surreal.protocol.errors import did_you_mean

HERE = Path(__file__).parent
LIBRARY = "learning"
"""Package of what the scripts share; nothing in it starts."""


def rooms() -> dict[str, list[str]]:
    """Return room -> the names of its scripts, the top first, whose room is ''."""
    folders = {path.parent.name: path.parent for path in sorted(HERE.glob("*/__init__.py"))}
    found = {"": [path.stem for path in sorted(HERE.glob("*.py")) if path != Path(__file__)]}
    for name, folder in folders.items():
        if name != LIBRARY:
            found[name] = [f"{name}.{path.stem}" for path in sorted(folder.glob("*.py")) if path.stem != "__init__"]
    return found


def first_line(path: Path) -> str:
    """Return the first line of a module's docstring. Import nothing: a script may need a package of its own."""
    return (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0]


def listing() -> str:
    """Return all rooms with their scripts, each with the first line of its docstring."""
    lines = ["python benchmarks NAME --help says the rest."]
    for room, names in rooms().items():
        title = first_line(HERE / room / "__init__.py") if room else "Returns: tables, ablations and curves."
        lines += ["", f"{room}: {title}" if room else title]
        lines += [f"  {name:<30}{first_line(HERE / (name.replace('.', '/') + '.py'))}" for name in names]
    return "\n".join(lines)


def unknown(name: str) -> str:
    """Return what to say of a name that is no script's: the nearest one, or what its room has."""
    known = rooms()
    room = known.get(name.partition(".")[0] or name, [])
    near = "" if name in known else did_you_mean(name, [each for names in known.values() for each in names])
    has = f" It has: {', '.join(room)}." if room and not near else ""
    return f"Unknown benchmark {name!r}{near}.{has} `python {HERE.name}` lists them all."


def start(name: str) -> None:
    """Run a script as the program, under the words that started it: they are the name in its usage line."""
    spec = spec_from_file_location("__main__", HERE / f"{name.replace('.', '/')}.py")
    assert spec is not None and spec.loader is not None, "it is the file of a script"
    program = sys.modules["__main__"] = module_from_spec(spec)
    # As of a script that is started by its path: so processes that it spawns find it, too.
    program.__spec__ = None
    sys.argv[0] = f"python {HERE.name} {name}"
    spec.loader.exec_module(program)


def main() -> None:
    """Run the script that the first argument names as the program. Exit with 2 for a name that is none."""
    if sys.argv[1:] in ([], ["--help"], ["-h"]):
        print(listing())
        return
    name = sys.argv.pop(1)
    if name not in {each for names in rooms().values() for each in names}:
        print(unknown(name), file=sys.stderr)
        raise SystemExit(2)
    unwind_at_sigterm()
    start(name)


if __name__ == "__main__":
    main()
