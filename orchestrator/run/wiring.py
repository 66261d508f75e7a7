"""From a Plan and the addresses of a backend to the wiring of its processes, the same for every backend."""

from collections.abc import Iterable
from dataclasses import fields
from typing import Any, Protocol

from surreal.orchestrator.plan.model import Plan, PlannedChannel, PlannedRole
from surreal.protocol.graph import LOGS, METRICS, Channel
from surreal.protocol.wiring import ChannelWiring, Wiring

CONTROL = ".control"
"""Name of the control port where channels are named too: none of them can have it."""


class Addresses(Protocol):
    """Addresses of the ports of a run."""

    def control(self) -> str:
        """Return the control port."""

    def channel(self, channel: PlannedChannel, index: int) -> str:
        """Return the address where replica `index` of the role that binds a channel listens."""

    def relay(self, channel: PlannedChannel, index: int) -> str:
        """Return the address where relay `index` of a broadcast listens."""


def wire(
    plan: Plan, role: PlannedRole, channels: Iterable[PlannedChannel], addresses: Addresses, run_folder: str
) -> Wiring:
    """Return the wiring of process 0 of a role; a backend replaces the values that differ from process to process."""
    return Wiring(
        experiment=plan.name,
        role=role.name,
        index=0,
        incarnation=0,
        run=role.run,
        replicas={each.name: each.replicas for each in plan.roles},
        channels={each.name: _channel(plan, each, addresses) for each in channels},
        control=addresses.control(),
        serves_control=role.ends_run,
        control_role=ending_role(plan).name,
        run_folder=run_folder,
        seed=plan.seed,
        memory=role.resources.memory,
        evaluators=tuple(each.name for each in plan.roles if each.evaluates),
        expendable=role.expendable,
        least={each.name: each.least for each in plan.roles if each.least is not None},
        env=plan.env,
        config=plan.config,
        checkpoints=plan.checkpoints.model_dump(by_alias=True),
        track=plan.track if role.ends_run else {},
        record=_record(plan, role),
        limits=_limits(plan) if role.ends_run else {},
        notify=_notify(plan) if role.ends_run else {},
    )


def _record(plan: Plan, role: PlannedRole) -> dict[str, Any]:
    """Return how each process of an acting role records, and its share of the bytes; see `Wiring.record`."""
    record = plan.record
    if record is None or role.name not in record.roles:
        return {}
    processes = sum(plan.role(name).replicas for name in record.roles)
    return {"folder": record.folder, "every": record.every, "bytes": int(record.gigabytes * 1e9 / processes)}


def _limits(plan: Plan) -> dict[str, float | bool]:
    """Return the limits and the price by which the process that ends the run counts; see `Wiring.limits`."""
    limits, cost = plan.limits, plan.cost
    price = (cost.at_most_per_hour if cost.per_hour is None else cost.per_hour) if cost else None
    known: dict[str, float | bool | None] = {
        "hours": limits.hours,
        "dollars": limits.cost,
        "stillMinutes": limits.no_progress_minutes,
        "dollarsPerHour": price,
        "bound": True if cost and cost.per_hour is None and price is not None else None,
    }
    return {key: value for key, value in known.items() if value is not None}


def _notify(plan: Plan) -> dict[str, Any]:
    notify = plan.notify
    if notify is None:
        return {}
    return {"command": list(notify.command), "url": notify.url, "stillMinutes": notify.no_progress_minutes}


def ending_role(plan: Plan) -> PlannedRole:
    """Return the role that ends the run."""
    return next(role for role in plan.roles if role.ends_run)


def _channel(plan: Plan, channel: PlannedChannel, addresses: Addresses) -> ChannelWiring:
    binds = plan.role(channel.binds)
    # words for the run go to the one process that keeps its files
    replicas = 1 if binds.ends_run and channel.name in (METRICS, LOGS) else binds.replicas
    described = {field.name: getattr(channel, field.name) for field in fields(Channel)}
    return ChannelWiring(
        **described,
        addresses=tuple(addresses.channel(channel, index) for index in range(replicas)),
        relays=tuple(addresses.relay(channel, index) for index in range(channel.relays)),
        dtype=channel.dtype or "",
    )


def key_files(plan: Plan) -> dict[str, str]:
    """Make new keys: role -> content of the key file that only the processes of that role get.

    A backend makes them once, when it creates an experiment, keeps them where only it and the role can read (a file of
    mode 0600, a Secret mounted with mode 0400), and names the file in `Wiring.keys`.
    """
    from surreal.protocol.transport.curve_keys import make_key_files

    return make_key_files(role.name for role in plan.roles)


THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
"""Each numeric library takes every core it sees unless its own variable says otherwise."""


def thread_variables(role: PlannedRole) -> dict[str, str]:
    """Return variables that keep the numeric libraries of a process to the cores that it asked for."""
    return dict.fromkeys(THREADS, str(max(1, int(role.resources.cpu))))
