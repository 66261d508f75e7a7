"""`surreal operator`: the program that the operator's pod runs."""

import secrets
import signal
import socket
import sys
import threading
import time

import click

from surreal.cli.ui.options import Number
from surreal.protocol.errors import ExitCode


@click.command(name="operator")
@click.option("-n", "--namespace", metavar="NAME", help="The namespace to work in; by default that of its pod.")
@click.option("--context", metavar="NAME", help="Context of the kubeconfig, outside of a cluster.")
@click.option("--kubeconfig", metavar="FILE", help="The kubeconfig, outside of a cluster.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="Port of /healthz, /readyz and /metrics; 0 is any.",
)
@click.option("--elect/--no-elect", default=True, help="Elect a leader by a Lease: several operators may run.")
@click.option(
    "--start-seconds",
    type=Number(0),
    default=300.0,
    show_default=True,
    help="End a run without a step whose pods cannot start for so long; 0 for never.",
)
@click.option(
    "--first-step-seconds",
    type=Number(0),
    default=3600.0,
    show_default=True,
    help="End a run whose processes make no first step in so long; 0 for never.",
)
def command(
    namespace: str | None,
    context: str | None,
    kubeconfig: str | None,
    port: int,
    elect: bool,
    start_seconds: float,
    first_step_seconds: float,
) -> ExitCode:
    """Run the operator of one namespace: Experiments and Sweeps that kubectl applies become runs.

    Ends after SIGTERM, when the looks that are under way are done. Runs go on without it.
    """
    from surreal.orchestrator.operator.experiments.judge import Patience
    from surreal.orchestrator.operator.main import Operator, Settings
    from surreal.provisioner.kube.client import Api

    api = Api.connect(kubeconfig, context, namespace, _say)
    # Two on one machine are two candidates.
    identity = f"{socket.gethostname()}-{secrets.token_hex(3)}"
    settings = Settings(identity, port, elect, Patience(start_seconds, first_step_seconds))
    operator = Operator(api, settings, _say)
    told = threading.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda _number, _frame: told.set())
    operator.start()
    _say(f"looks after experiments in namespace {api.namespace}; health and metrics on port {operator.port}")
    told.wait()
    operator.end()
    return ExitCode.DONE


def _say(text: str) -> None:
    """Print one line of the operator's log, with the time."""
    print(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {text}", file=sys.stderr, flush=True)
