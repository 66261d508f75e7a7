"""`surreal plan` and `surreal calibrate`: the processes of an experiment, their machines, their speed and cost."""

from collections.abc import Mapping
from pathlib import Path

import click
from rich.console import Group, RenderableType
from rich.table import Table

from surreal.cli.ui.options import (
    Number,
    experiment_options,
    location_options,
    machine_options,
    max_cost_option,
    named,
    output_option,
)
from surreal.cli.ui.output import Output, emit, table, talk, warn
from surreal.orchestrator.experiment.load import load_experiment
from surreal.orchestrator.inventory import Machines
from surreal.orchestrator.plan.cost import refuse_above, with_speed
from surreal.orchestrator.plan.model import Plan, PlannedChannel, PlannedCost, PlannedRole
from surreal.orchestrator.planning import plan_for
from surreal.orchestrator.prediction.predict import Prediction, predict
from surreal.orchestrator.prediction.sizes import Replan, parse_what_if, propose, propose_within, resized
from surreal.orchestrator.run.describe import UNKNOWN, duration, number
from surreal.orchestrator.run.location import Location
from surreal.protocol.documents.quantity import format_memory, format_size

POSITIVE = Number(min=0, min_open=True)


@click.command(name="plan")
@experiment_options
@location_options
@click.option(
    "--speed", type=Number(), metavar="STEPS/S", help="Measured environment steps a second, for the cost of them."
)
@click.option("--predict", "predicting", is_flag=True, help="Add the prediction to -o json and yaml; a table has it.")
@click.option("--what-if", metavar="ROLE=N,gpu=N", help="Predict other numbers of processes: actor=64,gpu=1.")
@click.option("--target", type=POSITIVE, metavar="STEPS/S", help="Propose the fewest actors that reach it.")
@click.option("--target-cost", type=POSITIVE, metavar="DOLLARS", help="Propose the fastest that costs no more in all.")
@machine_options
@max_cost_option
@output_option
def command(
    file: Path,
    overrides: tuple[str, ...],
    location: Location | None,
    speed: float | None,
    predicting: bool,
    what_if: str | None,
    target: float | None,
    target_cost: float | None,
    pools: Path | None,
    prices: Path | None,
    max_cost: str | None,
    output: Output,
) -> None:
    """Print the plan of FILE: which processes run on which machines, at which cost. Starts nothing."""
    if sum(each is not None for each in (what_if, target, target_cost)) > 1:
        raise click.UsageError("--what-if, --target and --target-cost exclude each other")
    experiment = load_experiment(file, overrides)
    machines = Machines(location, pools, prices)
    plan = plan_for(experiment, machines)
    if speed is not None:
        plan = with_speed(plan, speed)
    if max_cost:
        refuse_above(plan, max_cost)

    def replan(sizes: Mapping[str, int]) -> Plan:
        same, now = resized(plan, sizes), {role.name: role.replicas for role in plan.roles}
        if not plan.pools:
            return same
        changes = [f"spec.roles.{role}.replicas={count}" for role, count in sizes.items() if count != now[role]]
        return plan_for(load_experiment(file, (*overrides, *changes)), machines)

    predicted, title = _predicted(plan, replan, what_if, target, target_cost)
    asked = predicting or any(each is not None for each in (what_if, target, target_cost))
    # Without being asked the data are the plan, which a program reads back.
    data = {**plan.to_data(), **({"prediction": predicted.to_data()} if asked else {})}
    emit(data, output, lambda: Group(_tables(plan), "", title, _prediction(predicted)))
    if output == "table":
        warn(plan.warnings)


def _predicted(
    plan: Plan, replan: Replan, what_if: str | None, target: float | None, dollars: float | None
) -> tuple[Prediction, str]:
    """Return the prediction that was asked for, and what it is of."""
    if target is not None:
        sizes = propose(plan, target).replicas
        return predict(replan(sizes)), f"prediction for {target:,.0f} steps/s, with the fewest actors"
    if dollars is not None:
        return propose_within(plan, dollars, replan), f"prediction for {dollars:g} $ in all, as fast as they go"
    if what_if is None:
        return predict(plan), "prediction"
    sizes, gpus = parse_what_if(what_if)
    return predict(replan(sizes), gpus), f"prediction for {what_if}"


def _tables(plan: Plan) -> RenderableType:
    title = f"{plan.name}: {plan.algorithm} learns {plan.env['id']}, seed {plan.seed}"
    machines = ["", _pools(plan), "", _cost(plan)] if plan.cost else []
    storage = ["", f"storage: {plan.storage.note}"] if plan.storage.note else []
    notes = ["", *plan.notes] if plan.notes else []
    return Group(title, "", _roles(plan), "", _channels(plan), *machines, *storage, *notes)


def _roles(plan: Plan) -> RenderableType:
    rows = table("role", "replicas", "cpu", "memory", "gpu", "pool", "on failure")
    for role in plan.roles:
        asked = role.resources
        pool = ", else ".join([role.pool, *role.fallback])
        cells = [role.replicas, f"{asked.cpu:g}", format_memory(asked.memory), asked.gpu, pool, _when_dead(role)]
        rows.add_row(role.name, *map(str, cells))
    return rows


def _when_dead(role: PlannedRole) -> str:
    if role.expendable:
        return "restart; the run continues"
    if role.ends_run and role.replicas > 1:
        return f"all restart from the checkpoint; {role.name}/0 ends the run when done"
    if role.ends_run:
        return "restart from its checkpoint; ends the run when done"
    return "restart from its last snapshot" if role.keeps_snapshots else "restart; it begins anew"


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


def _pools(plan: Plan) -> RenderableType:
    rows = table("pool", "machine", "spot", "now", "needed", "to add", "processes", "$/h")
    for pool in plan.pools:
        processes = ", ".join(f"{count} {role}" for role, count in pool.processes.items())
        counts = f"{pool.now} of {pool.there}", str(pool.full), str(pool.full - pool.now)
        price = "unknown" if pool.cost_per_hour is None else number(pool.cost_per_hour, 2)
        rows.add_row(pool.name, pool.machine or UNKNOWN, "spot" if pool.spot else "", *counts, processes, price)
    return rows


def _cost(plan: Plan) -> str:
    """Return the cost at full scale in one line, with the sources of the prices."""
    cost = plan.cost
    if cost is None or cost.per_hour is None:
        unknown = f"no price for pool {', '.join(cost.unknown if cost else ())}"
        if cost is None or cost.at_most_per_hour is None:
            return f"cost: unknown, {unknown}"
        bound = f"cost: at most {cost.at_most_per_hour:,.2f} $/h, by prices on demand"
        return f"{bound} ({unknown}){_besides(cost)}"
    steps = "" if cost.per_million_steps is None else f", {cost.per_million_steps:,.4f} $ per million steps"
    sources = "; ".join(sorted({pool.priced for pool in plan.pools if pool.priced}))
    return f"cost: {cost.per_hour:,.2f} $/h, {cost.per_day:,.2f} $/day{steps} ({sources}){_besides(cost)}"


def _besides(cost: PlannedCost) -> str:
    return f"; not included: {', '.join(cost.not_included)}" if cost.not_included else ""


WORDS = {"cores": "the cores of this machine", "both": "actors and learner alike"}
"""Bounds of a run that are no role."""


def _prediction(prediction: Prediction) -> RenderableType:
    """Return a prediction as labelled facts; where there is none, the sentence that says why."""
    facts = Table.grid(padding=(0, 3, 0, 0))
    facts.add_column(no_wrap=True)
    facts.add_column(overflow="fold")
    for label, words in _facts(prediction):
        facts.add_row(f"  {label}", words)
    return Group(facts, *(f"  {each}" for each in (prediction.source, *prediction.notes)))


def _facts(prediction: Prediction) -> list[tuple[str, str]]:
    found = prediction.speed
    if found is None:
        return []
    busy = ", ".join(f"{role} {share:.0%}" for role, share in found.busy.items())
    sizes = ", ".join(f"{count} {role}" for role, count in prediction.replicas.items())
    extent = "if as fast as measured" if prediction.elsewhere else f"({found.low:,.0f} to {found.high:,.0f})"
    facts = [
        ("speed", f"{found.steps:,.0f} steps/s {extent}"),
        ("bounded by", f"{WORDS.get(found.bound, found.bound)} (busy: {busy})"),
        ("staleness", f"{found.staleness:.1f} updates"),
        ("replicas", sizes),
    ]
    if prediction.memory:
        memory = ", ".join(f"{role} {format_size(size)}" for role, size in prediction.memory.items())
        facts.append(("memory", f"{memory} each"))
    if prediction.hours is not None:
        cost = "" if prediction.cost is None else f", {number(prediction.cost, 2)} $"
        facts.append(("to the end", f"{duration(3600 * prediction.hours)}{cost}"))
    return facts


@click.command(name="calibrate")
@experiment_options
@click.option("--seconds", type=Number(5, 600), default=20.0, show_default=True, help="Of each run.")
@location_options
@output_option
def calibrate(
    file: Path | None, overrides: tuple[str, ...], seconds: float, location: Location | None, output: Output
) -> None:
    """Measure what a step of FILE costs, by a short run of one actor and one of four, and keep it.

    `surreal plan` then predicts the speed of FILE with any number of processes. Calibrate where the run will be.
    """
    from surreal.orchestrator.client import Client
    from surreal.orchestrator.prediction import measure
    from surreal.orchestrator.prediction.calibration import MANY

    path = named(file)
    found = measure.calibrate(Client.at(location or Location()), path, overrides, seconds, talk)
    where = found.write()
    rows = table("role", "actors", "microseconds a step", "of a core", "spread")
    for actors, services in ((1, found.services), (MANY, found.more)):
        for role, times in services.items():
            figures = (f"{times.seconds * 1e6:,.1f}", f"{times.cpu * 1e6:,.1f}", f"{times.spread:.0%}")
            rows.add_row(role, f"{actors}", *figures)
    emit({**found.to_data(), "file": str(where)}, output, lambda: rows)
    talk(f"kept in {where}: surreal plan {path} predicts from it")
