"""Command `surreal`: import only the sub-command that is called, and turn errors into sentences and exit codes."""

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING

import click

from surreal import __version__
from surreal.protocol.errors import ExitCode, Fatal, SurrealError, did_you_mean

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

INTERRUPTED = 130
"""The shells' exit code for Ctrl-C."""

COMMANDS = {
    "create": ("experiment.create:command", "Start an experiment from a file and watch it."),
    "sweep": ("experiment.sweep:command", "Run an experiment with many values and seeds."),
    "offline": ("experiment.offline:command", "Make the offline suite's datasets, and score methods on it."),
    "plan": ("experiment.plan:command", "Print the pools, processes and cost of an experiment."),
    "calibrate": ("experiment.plan:calibrate", "Measure an experiment here, for the predictions of plan."),
    "render": ("experiment.objects:render", "Print the objects of an experiment in a cluster."),
    "diff": ("experiment.objects:diff", "Compare an experiment file with its run in a cluster."),
    "import": ("experiment.imports:command", "Translate files of other libraries to experiment files."),
    "list": ("run.list:command", "List the experiments."),
    "status": ("run.status:command", "Show the state of an experiment."),
    "profile": ("run.profile:command", "Show where the time of an experiment's processes goes."),
    "top": ("run.top:command", "Show the CPU, the memory and the channels of an experiment."),
    "logs": ("run.logs:command", "Print the logs of an experiment's processes."),
    "cp": ("run.files:command", "Copy files of an experiment to this machine."),
    "explain": ("experiment.explain:command", "Explain a key of experiment files: type, default, meaning."),
    "exec": ("run.connect:execute", "Run a command in the environment of a process."),
    "port-forward": ("run.connect:port_forward", "Forward a port of this machine to a process in a cluster."),
    "wait": ("run.lifecycle:wait", "Wait for an experiment to end; the exit code is its outcome."),
    "stop": ("run.lifecycle:stop", "Stop an experiment after a checkpoint."),
    "resume": ("run.lifecycle:resume", "Continue an experiment from its last checkpoint."),
    "scale": ("run.lifecycle:scale", "Change how many processes the roles of an experiment have."),
    "delete": ("run.lifecycle:delete", "Delete an experiment and all its files."),
    "open": ("run.open:command", "Show experiments on a live page in the browser."),
    "compare": ("run.compare:command", "Compare experiments and groups: table, curves, files."),
    "eval": ("policy.evaluate:command", "Evaluate the policy of an experiment over whole episodes."),
    "record": ("policy.record:command", "Record a dataset of a run's policies, in Minari's format."),
    "play": ("policy.play:command", "Watch a policy in a window, or write a video of it."),
    "export": ("policy.export:command", "Write a policy as ONNX, TorchScript or npz."),
    "tensorboard": ("run.connect:tensorboard", "Show the metrics of experiments in TensorBoard."),
    "cluster": ("platform.cluster:command", "Make the machines of a cluster file, on minikube, GKE or EKS."),
    "operator": ("platform.operator:command", "Run the operator, which makes what kubectl applies."),
    "image": ("platform.image:command", "Build the container image that pods run."),
    "pools": ("platform.machines:pools", "List the machines of this computer, a cluster or a file."),
    "prices": ("platform.machines:prices", "List machine types, their prices, and the age of these."),
    "doctor": ("platform.setup:doctor", "Check this machine or a cluster; each problem has a fix."),
    "bench": ("platform.bench:command", "Measure surreal on this machine beside raw ZeroMQ."),
    "schema": ("platform.setup:schema", "Print the JSON Schema of your files, for editors."),
    "completion": ("platform.setup:completion", "Print a script that completes commands in your shell."),
}
"""Verb -> (module below `surreal.cli.commands` and its click command, one line of help), in the order shown."""


class LazyGroup(click.Group):
    """Group that knows the names and help lines of its commands without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        found: click.Command = getattr(import_module(f"surreal.cli.commands.{module}"), name)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-") and not ctx.resilient_parsing:
            raise click.UsageError(f"unknown command {name!r}{did_you_mean(name, COMMANDS)}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(verb, text) for verb, (_, text) in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        from click.shell_completion import CompletionItem

        names = [CompletionItem(name, help=text) for name, (_, text) in COMMANDS.items() if name.startswith(incomplete)]
        # These are the options of the group itself; Group's own method would import every command.
        return names + click.Command.shell_complete(self, ctx, incomplete)


@click.group(cls=LazyGroup, name="surreal", context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="surreal %(version)s")
def cli() -> None:
    """Distributed reinforcement learning from one experiment file.

    Begin with `surreal create examples/cheetah-ppo.yaml`.
    """


def main() -> None:
    """Run the command line and exit with its code. A command may return an ExitCode; None means success."""
    sys.exit(_run())


def _run() -> int:
    try:
        result = cli.main(prog_name="surreal", standalone_mode=False)
        sys.stdout.flush()
    except SurrealError as error:
        click.echo(str(error), err=True)
        # for a worker it says not to start it again; of a command the input is wrong
        return ExitCode.INVALID if isinstance(error, Fatal) else error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:
        # The reader (head, less) has gone. Keep the interpreter from failing again at its last flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        click.echo(f"{place}{error.strerror or error}. Check the disk, or set SURREAL_HOME.", err=True)
        return ExitCode.INVALID
    return result if isinstance(result, int) else 0
