"""`surreal doctor`: what this machine, or a cluster, has of what experiments need."""

import click
from rich.table import Table
from rich.text import Text

from surreal.cli.ui.options import output_option, place_options
from surreal.cli.ui.output import Output, emit, table, talk
from surreal.orchestrator.doctor import Check, local_checks
from surreal.orchestrator.run.location import LOCAL, Location
from surreal.protocol.errors import ExitCode, InvalidInput

STYLES = {"ok": "green", "warn": "yellow", "absent": "dim", "unknown": "dim", "missing": "bold red"}


@click.command(name="doctor")
@place_options
@output_option
def command(where: Location | None, output: Output) -> ExitCode:
    """Say what is there of what experiments need, on this machine or with --on kube in a cluster, and what follows.

    Looks only. A state is ok, warn, absent (and not needed), unknown (you may not look) or missing. The exit code is 1
    where something is missing.
    """
    found = _checks(where or Location())
    emit([check.to_data() for check in found], output, lambda: _table(found))
    missing = [check.check for check in found if check.state == "missing"]
    if missing:
        talk(f"missing: {', '.join(missing)}")
    return ExitCode.FAILED if missing else ExitCode.DONE


def _checks(where: Location) -> list[Check]:
    if where.backend == LOCAL:
        return list(local_checks())
    if where.backend != "kube":
        raise InvalidInput(f"--on {where.backend}: there is a doctor for local and for kube")
    from surreal.orchestrator.backends.kube.doctor.checks import kube_checks
    from surreal.provisioner.kube.client import Api

    return list(kube_checks(Api.connect(where.kubeconfig, where.context, where.namespace, talk)))


def _table(found: list[Check]) -> Table:
    rows = table("check", "state", "found", "what follows")
    for each in found:
        rows.add_row(each.check, Text(each.state, STYLES[each.state]), each.found, each.follows)
    return rows
