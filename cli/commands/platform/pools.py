"""`surreal pools`: the machines there are, or that a cluster file promises."""

from pathlib import Path

import click
from rich.table import Table

from surreal.cli.ui.format import UNKNOWN, number
from surreal.cli.ui.options import location_options, output_option, prices_option
from surreal.cli.ui.output import Output, emit, table, talk
from surreal.orchestrator.prepare import find_pools
from surreal.orchestrator.run.location import Location
from surreal.protocol.documents.quantity import format_size
from surreal.provisioner.pools.model import NodePool


@click.command(name="pools")
@location_options
@click.option("-f", "--file", type=click.Path(path_type=Path), help="A cluster file; with --on kube both together.")
@prices_option
@output_option
def command(location: Location | None, file: Path | None, prices: Path | None, output: Output) -> None:
    """List the pools of equal machines: what there is, what is free, and what a machine costs.

    CPU, memory and GPUs are what is left for processes of experiments after the system's own share.
    """
    found = find_pools(location, file, prices)
    emit([pool.to_data() for pool in found.pools], output, lambda: _table(found.pools))
    for warning in found.warnings:
        talk(f"warning: {warning}")
    if output == "table" and (sources := sorted({pool.priced for pool in found.pools if pool.priced})):
        talk(f"prices: {'; '.join(sources)}; surreal prices --check")


def _table(pools: tuple[NodePool, ...]) -> Table:
    rows = table("pool", "machine", "spot", "nodes", "min-max", "one node", "cpu", "memory", "gpu", "zones", "$/h each")
    for pool in pools:
        data = pool.to_data()
        node = f"{pool.cpu:g} CPU {format_size(pool.memory)}" + (
            f" {pool.gpus} x {pool.gpu_type or 'GPU'}" if pool.gpus else ""
        )
        bounds = UNKNOWN if pool.max_nodes is None else f"{pool.min_nodes or 0}-{pool.max_nodes}"
        shares = [_share(data, key) for key in ("cpu", "memory", "gpus")]
        cells = [pool.name, pool.machine or UNKNOWN, "spot" if pool.spot else "", pool.nodes, bounds, node, *shares]
        price = "unknown" if pool.price is None else number(pool.price, 4)
        rows.add_row(*map(str, cells), ", ".join(pool.zones) or pool.region or UNKNOWN, price)
    return rows


def _share(data: dict[str, dict[str, float] | None], key: str) -> str:
    """`12 of 30 free` for all nodes together."""
    total, free = data["allocatable"], data["free"]
    assert total is not None, "what there is, is always known"
    if not total[key]:
        return UNKNOWN
    shown = format_size if key == "memory" else "{:g}".format
    return f"{shown(total[key])}" if free is None else f"{shown(free[key])} of {shown(total[key])} free"
