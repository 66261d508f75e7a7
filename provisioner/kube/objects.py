"""Fields of API objects, read so that nothing in them can make a reader fail: what is not as expected is not there."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from surreal.provisioner.kube.kinds import Object

LONGEST = 300
"""Characters of a foreign message that a sentence of ours repeats."""


def dig(data: Any, *path: str) -> Any:
    """Return the value at the end of the path, as in `dig(pod, "status", "phase")`; None where the path breaks off."""
    for key in path:
        if not isinstance(data, Mapping):
            return None
        data = data.get(key)
    return data


def text(data: Any, *path: str) -> str:
    """Return the string at the end of the path, without blanks around it; empty for anything else."""
    found = dig(data, *path)
    return found.strip() if isinstance(found, str) else ""


def number(data: Any, *path: str) -> int:
    """Return the whole number at the end of the path, also one in a string; 0 for anything else."""
    found = dig(data, *path)
    if isinstance(found, str) and found.isascii() and found.isdigit() and len(found) < 10:
        return int(found)
    return found if isinstance(found, int) and not isinstance(found, bool) else 0


def rows(data: Any, *path: str) -> list[Object]:
    """Return the objects of the list at the end of the path."""
    found = dig(data, *path)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list | tuple) else []


def name_of(thing: Any) -> str:
    """Return an object's name."""
    return text(thing, "metadata", "name")


def reference(owner: Object) -> Object:
    """Return the entry that another object has for its owner."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": name_of(owner),
        "uid": text(owner, "metadata", "uid"),
    }


def moment(data: Any, *path: str) -> datetime | None:
    """Return the time (RFC 3339) at the end of the path."""
    try:
        found = datetime.fromisoformat(text(data, *path))
    except ValueError:
        return None
    return found if found.tzinfo else None


def condition(thing: Any, kind: str, status: str = "True") -> Object | None:
    """Return the condition of that type, where it has that status."""
    found = (each for each in rows(thing, "status", "conditions") if each.get("type") == kind)
    return next((each for each in found if each.get("status") == status), None)


def one_line(message: str) -> str:
    """Return a message on one line and without control characters."""
    return " ".join("".join(each if each.isprintable() else " " for each in message).split())


def clip(message: str) -> str:
    """Return a foreign message on one line, and cut where it is endless."""
    line = one_line(message)
    return line if len(line) <= LONGEST else line[: LONGEST - 3].rstrip() + "..."


def members(text: str, count: int) -> set[int]:
    """Return the indexes that a text such as `0-2,5` names, of those below `count`; what makes no sense names none."""
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        ends = (first, last or first)
        if all(each.isascii() and each.isdigit() and len(each) < 10 for each in ends):
            found.update(range(int(ends[0]), min(int(ends[1]), count - 1) + 1))
    return found
