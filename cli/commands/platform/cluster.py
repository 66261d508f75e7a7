"""`surreal cluster`: the machines of a cluster file, planned, made, listed and taken down."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from surreal.cli.ui.completion import complete_clusters
from surreal.cli.ui.options import output_option, prices_option
from surreal.cli.ui.output import Output, console, emit, table, talk, warn
from surreal.orchestrator.inventory import price_table
from surreal.orchestrator.run.describe import UNKNOWN
from surreal.orchestrator.run.home import home
from surreal.protocol.errors import ExitCode, InvalidInput
from surreal.provisioner import helm as charts
from surreal.provisioner.cluster import lifecycle
from surreal.provisioner.cluster import store as clusters
from surreal.provisioner.cluster.load import load_cluster
from surreal.provisioner.cluster.store import ClusterFolder
from surreal.provisioner.providers.base import Step
from surreal.provisioner.providers.registry import provider_of

_file = click.argument("file", type=click.Path(path_type=Path))
_yes = click.option("-y", "--yes", is_flag=True, help="Do not ask.")


@click.group(name="cluster")
def command() -> None:
    """Make the machines that a cluster file describes, on minikube, GKE or EKS.

    Begin with `surreal cluster up examples/clusters/minikube.yaml`; docs/clusters.md has the way to a cloud.
    """


@command.command(name="render")
@_file
@click.option("-d", "--directory", type=click.Path(path_type=Path), help="Write the files there instead.")
@prices_option
def render(file: Path, directory: Path | None, prices: Path | None) -> None:
    """Print what would be handed to Terraform or minikube.

    Needs neither programs nor credentials.
    """
    found, warnings = lifecycle.rendered(load_cluster(file), price_table(prices))
    if directory:
        directory.mkdir(parents=True, exist_ok=True)
    for name, text in found.items():
        if directory:
            (directory / name).write_text(text)
            talk(f"wrote {directory / name}")
        else:
            click.echo(f"# {name}\n{text}", nl=False)
    warn(warnings)


@command.command(name="plan")
@_file
@prices_option
def plan(file: Path, prices: Path | None) -> ExitCode:
    """Say what `up` would change, and change nothing.

    The words are those of terraform, tofu or minikube.
    """
    lifecycle.plan(home(), load_cluster(file), price_table(prices), click.echo)
    return ExitCode.DONE


@command.command(name="up")
@_file
@_yes
@prices_option
def up(file: Path, yes: bool, prices: Path | None) -> ExitCode:
    """Make the cluster of FILE, or bring it to what FILE says.

    After an interruption the same command goes on from there.
    """
    cluster, prices_known = load_cluster(file), price_table(prices)
    warn(lifecycle.rendered(cluster, prices_known)[1])
    agree = _asking(yes, f"Make the cluster {cluster.name!r} so?")
    with _Watching() as watching:
        made = lifecycle.up(home(), cluster, prices_known, watching.paused(agree), _say, watching.show)
    if not made:
        talk("nothing was made")
        return ExitCode.FAILED
    context = provider_of(cluster).context(cluster) or "(the current one)"
    talk(f"cluster {cluster.name} is up, kubeconfig context {context}; surreal pools --on kube shows its machines")
    talk("quotas, rights for others, a Grafana dashboard, if you want them: surreal cluster install")
    return ExitCode.DONE


@command.command(name="down")
@click.argument("name", shell_complete=complete_clusters)
@_yes
@click.option("--force", is_flag=True, help="Delete it even if experiments run there, or this is unknown.")
def down(name: str, yes: bool, force: bool) -> ExitCode:
    """Delete the cluster NAME and all that was made with it."""
    folder = clusters.find(home(), name)
    agree = _asking(yes, f"Delete the cluster {name!r} so?")
    with _Watching() as watching:
        gone = lifecycle.down(folder, force, watching.paused(agree), _say, watching.show)
    talk(f"cluster {name} is gone" if gone else "nothing was deleted")
    return ExitCode.DONE if gone else ExitCode.FAILED


@command.command(name="install")
@click.option("-n", "--namespace", metavar="NAME", help="Where experiments run; as kubectl if not given.")
@click.option("--context", metavar="NAME", help="Context of the kubeconfig; the current one if not given.")
@click.option(
    "--kubeconfig", "config", type=click.Path(path_type=Path), help="The kubeconfig; as kubectl if not given."
)
@click.option("--operator", is_flag=True, help="With the operator, and with Experiment and Sweep as resources.")
@click.option("--values", multiple=True, type=click.Path(path_type=Path), help="A file of the chart's values.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="One value, as helm's --set reads it.")
def install(
    namespace: str | None,
    context: str | None,
    config: Path | None,
    operator: bool,
    values: tuple[Path, ...],
    settings: tuple[str, ...],
) -> None:
    """Install the Helm chart of what a cluster needs once, or bring it to these values.

    Rights of people, quotas, a queue, TensorBoard, a Grafana dashboard; experiments run without any of it. What is
    cluster-scoped is made only where a value asks for it, and a value not given goes back to the chart's own.
    """
    given = (*(charts.OPERATOR if operator else ()), *settings)
    wanted = charts.Install(namespace, context, str(config) if config else None, values, given)
    talk(charts.install(wanted).strip())


@command.command(name="status")
@click.argument("names", metavar="[NAME]...", nargs=-1, shell_complete=complete_clusters)
@output_option
def status(names: tuple[str, ...], output: Output) -> None:
    """List the clusters made from here, or those named."""
    folders = [clusters.find(home(), name) for name in names or clusters.names(home())]
    if not folders and output == "table":
        talk("no clusters yet: surreal cluster up examples/clusters/minikube.yaml")
        return
    found = [_facts(folder) for folder in folders]
    emit(found, output, lambda: _table(found))


def _facts(folder: ClusterFolder) -> dict[str, Any]:
    cluster, with_engine = folder.cluster(), lifecycle.resources(folder)
    return {
        "name": folder.name,
        "provider": cluster.spec.provider,
        "location": cluster.spec.region,
        "phase": folder.phase(),
        "resources": with_engine,
        "context": provider_of(cluster).context(cluster),
        "pools": {pool.name: {"min": pool.min, "max": pool.max} for pool in cluster.spec.pools},
        "folder": str(folder.path),
    }


def _table(found: list[dict[str, Any]]) -> Table:
    rows = table("name", "provider", "location", "phase", "resources", "pools", "context")
    for facts in found:
        pools = ", ".join(f"{name} {size['min']}-{size['max']}" for name, size in facts["pools"].items())
        cells = [facts[key] for key in ("name", "provider", "location", "phase", "resources")]
        shown = [UNKNOWN if cell is None else str(cell) for cell in cells]
        rows.add_row(*shown, pools, facts["context"] or UNKNOWN)
    return rows


def _say(line: str) -> None:
    """Print a line of the engine's plan on stderr, beside the question about it."""
    talk(line)


def _asking(yes: bool, question: str) -> Callable[[], bool]:
    def agree() -> bool:
        if yes:
            return True
        if not sys.stdin.isatty():
            raise InvalidInput("--yes: confirmation is required, but stdin is not a terminal. Pass --yes.")
        return click.confirm(question, err=True)

    return agree


class _Watching:
    """Progress on stderr: a line for what is done, and on a terminal a moving one for what goes on."""

    def __init__(self) -> None:
        screen = console(stderr=True)
        self._status = screen.status("...") if screen.is_terminal else None

    def __enter__(self) -> "_Watching":
        return self

    def __exit__(self, *_: object) -> None:
        if self._status:
            self._status.stop()

    def show(self, step: Step) -> None:
        """Show one step as it happens."""
        line = f"[{step.done}/{step.total}] {step.text}" if step.total else step.text
        if self._status and step.passing:
            self._status.update(line)
            self._status.start()
        elif not step.passing:
            talk(line)

    def paused(self, agree: Callable[[], bool]) -> Callable[[], bool]:
        """Return `agree`, called while nothing moves on the screen."""

        def ask() -> bool:
            if self._status:
                self._status.stop()
            return agree()

        return ask
