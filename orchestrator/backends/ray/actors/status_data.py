"""Status as plain data and back: what a supervisor answers, whatever the client's classes look like."""

from dataclasses import asdict
from typing import Any

from surreal.orchestrator.run.channel_stats import ChannelStatus, EndStatus
from surreal.orchestrator.run.status import ProcessStatus, Status
from surreal.protocol.telemetry.gauges import Progress


def to_data(status: Status) -> dict[str, Any]:
    """Return plain data."""
    return asdict(status)


def from_data(data: dict[str, Any]) -> Status:
    """Return the status that `to_data` took apart."""
    roles = {role: tuple(ProcessStatus(**each) for each in found) for role, found in data["roles"].items()}
    channels = tuple(
        ChannelStatus(each["name"], each["kind"], tuple(EndStatus(**end) for end in each["ends"]))
        for each in data["channels"]
    )
    return Status(**{**data, "progress": Progress(**data["progress"]), "roles": roles, "channels": channels})
