"""`surreal prices`: machine types, what they cost, and how old these figures are."""

from datetime import date
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from surreal.cli.ui.format import number
from surreal.cli.ui.options import output_option, prices_option
from surreal.cli.ui.output import Output, emit, table, talk
from surreal.orchestrator.prepare import own_prices
from surreal.protocol.errors import InvalidInput, did_you_mean
from surreal.provisioner.machine_types import MachineTable, machine_table

OLD_DAYS = 180
"""Days after which a price is worth looking up again."""


@click.command(name="prices")
@click.argument("provider", required=False)
@click.option("--check", is_flag=True, help="Say where the prices are from and how old they are.")
@prices_option
@output_option
def command(provider: str | None, check: bool, prices: Path | None, output: Output) -> None:
    """List the machine types that are known, of all providers or of PROVIDER (gke, eks), and their prices.

    Prices are US dollars an hour in the region of their source; what no source says is unknown.
    """
    machines = machine_table(own_prices(prices))
    if check:
        ages = _ages(machines, date.today())
        emit(ages, output, lambda: _age_table(ages))
        for source in (source for source in ages if source["days"] > OLD_DAYS):
            talk(f"warning: {source['source']} is {source['days']} days old; give newer prices in prices.yaml")
        return
    known = sorted(machines.document.machines)
    if provider is not None and provider not in known:
        raise InvalidInput(f"no machine types of {provider!r}{did_you_mean(provider, known)}; of: {', '.join(known)}")
    rows = [row for name in known if provider in (None, name) for row in _rows(machines, name)]
    emit(rows, output, lambda: _table(rows))


def _rows(machines: MachineTable, provider: str) -> list[dict[str, Any]]:
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


def _table(machines: list[dict[str, Any]]) -> Table:
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
    """Each source, the oldest first."""
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
