"""Signs of a run for its autoscaling, from the counts of its channels and the newest row of its metrics."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from surreal.orchestrator.autoscaling.decision import Range, Signs
from surreal.orchestrator.plan.model import Plan, PlannedRole
from surreal.orchestrator.run.channel_stats import ChannelStatus, read_channels
from surreal.orchestrator.run.home import Folder, tail_lines
from surreal.protocol.graph import role_of

TAIL_BYTES = 64 * 1024
"""End of the metrics in which the newest row of the learner is."""
STARVED = "share_waiting"
"""Metric of the role that ends a run: the share of its time that it waited for data."""


def scaled_role(plan: Plan) -> PlannedRole | None:
    """Return the role whose number of processes follows its need; None where every number is fixed."""
    return next((role for role in plan.roles if role.least is not None), None)


def bounds_of(role: PlannedRole) -> Range:
    """Return the bounds of an autoscaled role."""
    return Range(role.least or role.replicas, role.replicas)


def signs_of(
    plan: Plan, role: PlannedRole, channels: Iterable[ChannelStatus], row: Mapping[str, Any], actors: int
) -> Signs:
    """Return the signs of a run that has so many `actors`; `row` is the newest row of the role that ends it."""
    blocked: dict[str, float] = {}
    for channel in channels:
        for end in channel.ends:
            if role_of(end.process) == role.name and end.blocked_share is not None:
                blocked[end.process] = min(1.0, blocked.get(end.process, 0.0) + end.blocked_share)
    staleness, starved = row.get("staleness"), row.get(STARVED)
    return Signs(
        actors,
        sum(blocked.values()) / len(blocked) if blocked else None,
        float(starved) if isinstance(starved, int | float) else None,
        float(staleness) if isinstance(staleness, int | float) else None,
        plan.config.get("max_staleness") or None,
        len(blocked),
    )


def signs_in(folder: Folder, plan: Plan, role: PlannedRole, actors: int) -> Signs:
    """Return the signs in the folder of a run that has so many `actors`."""
    ending = next(each.name for each in plan.roles if each.ends_run)
    row = newest_row(tail_lines(folder.metrics_jsonl, TAIL_BYTES), ending)
    return signs_of(plan, role, read_channels(folder.channels, over=False), row, actors)


def newest_row(lines: Sequence[bytes], role: str) -> dict[str, Any]:
    """Return the newest whole row of a role in lines of metrics; empty where there is none."""
    for line in reversed(lines):
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and role_of(str(row.get("role", ""))) == role and STARVED in row:
            return row
    return {}
