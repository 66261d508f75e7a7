"""`surreal pools` and `surreal prices`: machines of a place or a cluster file, and the prices of machine types."""

from datetime import date
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from surreal.cli.ui.options import location_options, output_option, prices_option
from surreal.cli.ui.output import Output, emit, table, talk, warn
from surreal.orchestrator.inventory import Machines, price_table
from surreal.orchestrator.run.describe import UNKNOWN, number
from surreal.orchestrator.run.location import Location
from surreal.protocol.documents.quantity import format_size
from surreal.protocol.errors import InvalidInput, did_you_mean
from surreal.provisioner.machine_types import MachineTable
from surreal.provisioner.pools.model import NodePool

OLD_DAYS = 180
"""Days after which a price is worth looking up again."""


@click.command(name="pools")
@location_options
@click.option(
    "-f",
    "--file",
    "--pools",
    "file",
    type=click.Path(path_type=Path),
    help="A cluster file; with --on kube both together.",
)
@prices_option
@output_option
def pools(location: Location | None, file: Path | None, prices: Path | None, output: Output) -> None:
    """List the pools of equal machines: what there is, what is free, and what a machine costs.

    CPU, memory and GPUs are what is left for processes of experiments after the system's own share.
    """
    found = Machines(location, file, prices).inventory()
    emit([pool.to_data() for pool in found.pools], output, lambda: _table(found.pools))
    warn(found.warnings)
    if output == "table" and (sources := sorted({pool.priced for pool in found.pools if pool.priced})):
        talk(f"prices: {'; '.join(sources)}; surreal prices --check")


def _table(pools: tuple[NodePool, ...]) -> Table:
    rows = table("pool", "machine", "spot", "nodes", "min-max", "one node", "free", "zones", "$/h")
    for pool in pools:
        data = pool.to_data()
        bounds = UNKNOWN if pool.max_nodes is None else f"{pool.min_nodes or 0}-{pool.max_nodes}"
        spot = "spot" if pool.spot else ""
        cells = [pool.name, pool.machine or UNKNOWN, spot, _nodes(pool), bounds, _machine(pool), _free(data)]
        price = "unknown" if pool.price is None else number(pool.price, 4)
        rows.add_row(*map(str, cells), ", ".join(pool.zones) or pool.region or UNKNOWN, price)
    return rows


def _nodes(pool: NodePool) -> str:
    """Return `3`, or `3 (1 cordoned)` if some take no pods now."""
    closed = ", ".join(f"{count} {reason}" for reason, count in pool.closed.items())
    return f"{pool.nodes} ({closed})" if closed else str(pool.nodes)


def _machine(pool: NodePool) -> str:
    """Return what one machine offers, with its architecture and system where they are not the usual ones."""
    accelerators = {pool.gpu_type or "GPU": pool.gpus, **pool.accelerators}
    parts = [
        f"{pool.cpu:g} CPU {format_size(pool.memory)}",
        *(f"{count} x {name}" for name, count in accelerators.items() if count),
        *(word for word, usual in ((pool.arch, "amd64"), (pool.os, "linux")) if word not in (None, usual)),
    ]
    return " ".join(map(str, parts))


def _free(data: dict[str, dict[str, float] | None]) -> str:
    """Return `12 of 30 CPU, 40 GiB of 118 GiB, 1 of 2 GPU` of all nodes; what is there, if no more is known."""
    total, free = data["allocatable"], data["free"]
    assert total is not None, "allocatable is always known"
    shares = []
    for key, unit in (("cpu", " CPU"), ("memory", ""), ("gpus", " GPU")):
        if total[key]:
            shown = format_size if key == "memory" else "{:g}".format
            left = "" if free is None else f"{shown(free[key])} of "
            shares.append(f"{left}{shown(total[key])}{unit}")
    return ", ".join(shares) or UNKNOWN


@click.command(name="prices")
@click.argument("provider", required=False)
@click.option("--check", is_flag=True, help="Say where the prices are from and how old they are.")
@prices_option
@output_option
def prices(provider: str | None, check: bool, prices: Path | None, output: Output) -> None:
    """List the machine types that are known, of all providers or of PROVIDER (gke, eks), and their prices.

    Prices are US dollars an hour in the region of their source; what no source says is unknown.
    """
    machines = price_table(prices)
    if check:
        ages = _ages(machines, date.today())
        emit(ages, output, lambda: _age_table(ages))
        for source in (source for source in ages if source["days"] > OLD_DAYS):
            talk(f"warning: {source['source']} is {source['days']} days old; give newer prices in prices.yaml")
        return
    known = sorted(machines.document.machines)
    if provider is not None and provider not in known:
        raise InvalidInput(
            f"no machine types of {provider!r}{did_you_mean(provider, known)}. There are those of: {', '.join(known)}"
        )
    rows = [row for name in known if provider in (None, name) for row in _machine_rows(machines, name)]
    emit(rows, output, lambda: _price_rows(rows))


def _machine_rows(machines: MachineTable, provider: str) -> list[dict[str, Any]]:
    return [
        {
            "provider": provider,
            "machine": name,
            "cpu": entry.cpu,
            "memory": entry.memory,
            "gpus": entry.gpus,
            "gpuType": entry.gpu,
            "pricePerHour": entry.price,
            "spotPricePerHour": entry.spot,
            "source": entry.source,
        }
        for name, entry in machines.document.machines[provider].items()
    ]


def _price_rows(machines: list[dict[str, Any]]) -> Table:
    rows = table("provider", "machine", "cpu", "memory", "gpu", "$/h", "$/h spot", "source")
    for row in machines:
        gpu = f"{row['gpus']} x {row['gpuType']}" if row["gpus"] else ""
        prices = [_price(row["pricePerHour"]), _price(row["spotPricePerHour"])]
        memory = f"{row['memory'] / 2**30:g}Gi"
        rows.add_row(row["provider"], row["machine"], f"{row['cpu']:g}", memory, gpu, *prices, row["source"])
    return rows


def _price(dollars: float | None) -> str:
    return "unknown" if dollars is None else number(dollars, 4)


def _ages(machines: MachineTable, today: date) -> list[dict[str, Any]]:
    """Return each source of prices, the oldest first."""
    sources = sorted(machines.document.sources.items(), key=lambda item: item[1].date)
    return [
        {
            "source": name,
            "date": source.date,
            "days": (today - date.fromisoformat(source.date)).days,
            "region": source.region,
            "what": source.what,
        }
        for name, source in sources
    ]


def _age_table(ages: list[dict[str, Any]]) -> Table:
    rows = table("source", "date", "age", "region", "what")
    for row in ages:
        rows.add_row(row["source"], row["date"], f"{row['days']} days", row["region"], row["what"])
    return rows
