"""`surreal plan`: what an experiment would run, and where."""

from pathlib import Path

import click
from rich.console import Group, RenderableType

from surreal.cli.options import experiment_options, output_option
from surreal.cli.output import Output, emit, table, talk
from surreal.orchestrator.experiment import load_experiment
from surreal.orchestrator.placement import make_plan
from surreal.orchestrator.plan import Plan, PlannedChannel, PlannedRole
from surreal.provisioner.documents.quantity import format_memory
from surreal.provisioner.machine import local_pool


@click.command(name="plan")
@experiment_options
@output_option
def command(file: Path, overrides: tuple[str, ...], output: Output) -> None:
    """Say what FILE would run where, and start nothing."""
    plan = make_plan(load_experiment(file, overrides), [local_pool()])
    emit(plan.to_data(), output, lambda: _tables(plan))
    if output == "table":
        for warning in plan.warnings:
            talk(f"warning: {warning}")


def _tables(plan: Plan) -> RenderableType:
    title = f"{plan.name}: {plan.algorithm} learns {plan.env['id']}, seed {plan.seed}"
    return Group(title, "", _roles(plan), "", _channels(plan))


def _roles(plan: Plan) -> RenderableType:
    rows = table("role", "replicas", "cpu", "memory", "gpu", "pool", "when it dies")
    for role in plan.roles:
        asked = role.resources
        cells = [role.replicas, f"{asked.cpu:g}", format_memory(asked.memory), asked.gpu, role.pool, _when_dead(role)]
        rows.add_row(role.name, *map(str, cells))
    return rows


def _when_dead(role: PlannedRole) -> str:
    if role.expendable:
        return "is restarted, the run goes on"
    return "is restarted from its checkpoint" + (", its end ends the run" if role.ends_run else "")


def _channels(plan: Plan) -> RenderableType:
    rows = table("channel", "kind", "from", "to", "listens", "when full")
    for channel in plan.channels:
        ends = ", ".join(channel.frm), ", ".join(channel.to)
        rows.add_row(channel.name, channel.kind, *ends, channel.binds, _when_full(channel))
    return rows


def _when_full(channel: PlannedChannel) -> str:
    if channel.kind != "broadcast":
        return f"{'drops' if channel.lossy else 'waits'} at {channel.window}"
    relayed = f", over {channel.relays} relay{'s'[: channel.relays != 1]}" if channel.relays else ""
    return "newest wins" + relayed + (f", as {channel.dtype}" if channel.dtype else "")
