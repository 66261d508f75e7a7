"""Versions of installed packages, and the distributions that hold an environment's module.

A command asks for them before it starts a run and a learner before its first update, so nothing here may take long.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, distributions, version
from typing import Any


def installed(packages: Iterable[str]) -> dict[str, str | None]:
    """Return distribution -> version; None for one that is not installed."""
    return {package: version_of(package) for package in packages}


def version_of(package: str) -> str | None:
    """Return the version of a distribution; None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@cache
def distributions_of(package: str) -> tuple[str, ...]:
    """Return the distributions that hold the top-level package or module `package`, sorted.

    The answer is that of importlib.metadata.packages_distributions, which reads every file list as a table and takes
    ten times as long.
    """
    inside = re.compile(rf"^{re.escape(package)}(/|\.py,|\.[^/,]*\.(so|pyd),)", re.MULTILINE)
    found = set()
    for distribution in distributions():
        tops = (distribution.read_text("top_level.txt") or "").split()
        if package in tops or (not tops and inside.search(distribution.read_text("RECORD") or "")):
            found.add(str(distribution.metadata["Name"]))
    return tuple(sorted(found))


def changed_versions(record: Mapping[str, Any], now: Mapping[str, str]) -> list[str]:
    """Return a phrase for each package whose version is not the one in `record`, surreal's own left out."""
    before: Mapping[str, str] = record.get("versions", {})
    names = [name for name in dict.fromkeys((*before, *now)) if name != "surreal"]
    return [
        f"{name} {before.get(name, 'absent')} -> {now.get(name, 'absent')}"
        for name in names
        if before and before.get(name) != now.get(name)
    ]
