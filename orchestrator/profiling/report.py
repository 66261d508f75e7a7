"""Report of a profile as one HTML file without anything from elsewhere."""

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from surreal.orchestrator.profiling.breakdown import Breakdown
from surreal.orchestrator.profiling.profile import Profile

COLUMNS = ("python", "simulator", "numeric", "communication", "idle", "gpu", "unknown")
SMALLEST = 0.0005
"""Share of an operation that has a row."""


def write_report(profile: Profile, path: Path) -> None:
    """Write the report of a profile."""
    roles = [_role(each) for each in profile.roles.values()]
    path.write_text(
        _environment()
        .get_template("report.html.j2")
        .render(
            profile=profile,
            roles=roles,
            processes=[_role(each) for each in profile.processes],
            columns=COLUMNS,
            path=_path(profile),
            seconds=max(each.wall for each in profile.processes),
        )
    )


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("surreal.orchestrator.profiling", "templates"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _role(role: Breakdown) -> dict[str, Any]:
    """Return one bar of a role or process with its table: operations by resources."""
    names: dict[str, dict[str, float]] = {}
    for (name, resource), spent in role.seconds.items():
        names.setdefault(name, {})[resource] = spent / role.wall
    rows = [
        {"name": name, "shares": shares, "total": sum(shares.values()), **_crossed(role, name)}
        for name, shares in sorted(names.items(), key=lambda entry: -sum(entry[1].values()))
    ]
    return {
        "name": role.name,
        "processes": role.processes,
        "busy": role.busy,
        "cpu": role.cpu / role.wall,
        "profiler": role.profiler / role.wall,
        "bar": [{"resource": resource, "share": role.share(resource)} for resource in COLUMNS if role.share(resource)],
        "columns": [name for name in COLUMNS if role.share(name)],
        "rows": [row for row in rows if row["total"] >= SMALLEST],
        "beside": [
            {"name": name, "resource": resource, "share": spent / role.wall}
            for (name, resource), spent in role.beside.items()
        ],
    }


def _crossed(role: Breakdown, name: str) -> dict[str, Any]:
    found = [each for (operation, _), each in role.crossings.items() if operation == name and each.seconds]
    return {"calls": found[0].per_second, "in_c": found[0].share_in_c} if found else {"calls": None, "in_c": None}


def _path(profile: Profile) -> list[dict[str, Any]]:
    if profile.path is None:
        return []
    total = profile.path.total or 1.0
    return [{"name": name, "seconds": spent, "share": spent / total} for name, spent in profile.path.seconds.items()]
