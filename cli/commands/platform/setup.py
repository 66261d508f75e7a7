"""`surreal doctor`, `surreal schema` and `surreal completion`: set up a machine, an editor and a shell."""

import json
from collections.abc import Sequence

import click
from click.shell_completion import get_completion_class
from rich.text import Text

from surreal.cli.ui.options import location_options, output_option
from surreal.cli.ui.output import Output, emit, talk
from surreal.cli.ui.rows import Rows
from surreal.orchestrator.client import Client
from surreal.orchestrator.doctor import Check
from surreal.orchestrator.run.location import Location
from surreal.protocol.errors import ExitCode

STYLES = {"ok": "green", "warn": "yellow", "absent": "dim", "unknown": "dim", "missing": "bold red"}


@click.command(name="doctor")
@location_options
@output_option
def doctor(location: Location | None, output: Output) -> ExitCode:
    """Check what this machine, or a cluster with --on kube, has of what experiments need; each problem has a fix.

    Changes nothing. A state is ok, warn, absent (and not needed), unknown (no right to read it) or missing. The exit
    code is 1 if something is missing.
    """
    found = Client.at(location or Location()).check()
    emit([check.to_data() for check in found], output, lambda: _table(found))
    missing = [check.check for check in found if check.state == "missing"]
    if missing:
        talk(f"missing: {', '.join(missing)}")
    return ExitCode.FAILED if missing else ExitCode.DONE


def _table(found: Sequence[Check]) -> Rows:
    rows = Rows(("check", "state", "found", "what follows"), stacks=True)
    for each in found:
        rows.add_row(each.check, Text(each.state, STYLES[each.state]), each.found, each.follows)
    return rows


@click.command(name="schema")
@click.argument("document", type=click.Choice(["experiment", "sweep", "cluster", "crd"]), default="experiment")
def schema(document: str) -> None:
    """Print the JSON Schema of experiment files, of sweep files, or of cluster files.

    Save it and begin a file with `# yaml-language-server: $schema=PATH` to have an editor check as you type.
    crd prints the definitions by which a cluster knows both: surreal schema crd | kubectl apply --server-side -f -
    """
    if document == "crd":
        from surreal.orchestrator.operator.crd.definitions import definitions_yaml

        click.echo(definitions_yaml(), nl=False)
        return
    from surreal.orchestrator.experiment.load import experiment_schema
    from surreal.orchestrator.sweeps.model import sweep_schema
    from surreal.provisioner.cluster.load import cluster_schema

    made = {"experiment": experiment_schema, "sweep": sweep_schema, "cluster": cluster_schema}[document]()
    click.echo(json.dumps(made, indent=2))


@click.command(name="completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print a script that completes commands in SHELL.

    \b
    bash:  echo 'eval "$(surreal completion bash)"' >> ~/.bashrc
    zsh:   echo 'eval "$(surreal completion zsh)"' >> ~/.zshrc
    fish:  surreal completion fish > ~/.config/fish/completions/surreal.fish
    """
    complete = get_completion_class(shell)
    assert complete is not None, "the choices above are click's own"
    click.echo(complete(ctx.find_root().command, {}, "surreal", "_SURREAL_COMPLETE").source())
