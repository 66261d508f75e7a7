"""The command `surreal`: finds the sub-command, imports only that one, and turns errors into words and exit codes."""

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING

import click

from surreal.protocol.errors import SurrealError, did_you_mean

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

INTERRUPTED = 130
"""The shells' exit code for Ctrl-C."""

COMMANDS = {
    "create": "Start an experiment from a file and watch it learn.",
    "plan": "Say what would run location, and start nothing.",
    "render": "Print the objects that an experiment is in a cluster.",
    "diff": "Compare an experiment file with what is in a cluster.",
    "list": "List the experiments.",
    "status": "Show the state of an experiment.",
    "top": "Show the CPU, the memory and the channels of an experiment.",
    "logs": "Print what the processes of an experiment say.",
    "exec": "Run a command beside a process of an experiment.",
    "port-forward": "Make a port of a process in a cluster one of this machine.",
    "wait": "Wait for an experiment to end; the exit code is its outcome.",
    "stop": "Stop an experiment after a checkpoint.",
    "resume": "Go on from the last checkpoint.",
    "delete": "End an experiment and remove all that is left of it.",
    "tensorboard": "Show the curves of experiments in TensorBoard.",
    "cluster": "Make the machines of a cluster file, on minikube, GKE or EKS.",
    "image": "Build the container image that pods run.",
    "pools": "List the machines of this computer, a cluster or a file.",
    "prices": "List machine types and their prices, and how old these are.",
    "doctor": "Say what this machine or a cluster lacks, and what follows.",
    "bench": "Measure surreal on this machine, beside what it is built on.",
    "schema": "Print the JSON Schema of the files you write, for editors.",
    "completion": "Print a script that completes commands in your shell.",
}
"""Name -> one line of help, in the order shown."""
HOMES = {
    "experiment": ("create", "plan", "render", "diff", "schema"),
    "platform": ("cluster", "image", "pools", "prices", "doctor", "bench", "completion"),
}
"""Package of `surreal.cli.commands` -> its verbs; all others are in `run`. The module of a verb has its name, with
underscores, and the click command as `command`."""


class LazyGroup(click.Group):
    """A group that knows the names and helps of its commands without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        home = next((package for package, verbs in HOMES.items() if cmd_name in verbs), "run")
        found: click.Command = import_module(f"surreal.cli.commands.{home}.{cmd_name.replace('-', '_')}").command
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
            formatter.write_dl(list(COMMANDS.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        from click.shell_completion import CompletionItem

        names = [CompletionItem(name, help=text) for name, text in COMMANDS.items() if name.startswith(incomplete)]
        # options of the group itself; Group's own method would import every command
        return names + click.Command.shell_complete(self, ctx, incomplete)


@click.group(cls=LazyGroup, name="surreal", context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="surreal", message="surreal %(version)s")
def cli() -> None:
    """Distributed reinforcement learning from one experiment file.

    Begin with `surreal create examples/cheetah-ppo.yaml`.
    """


def main() -> None:
    """Run the command line and exit with its code. A command may return an ExitCode; None is success."""
    sys.exit(_run())


def _run() -> int:
    try:
        result = cli.main(prog_name="surreal", standalone_mode=False)
        sys.stdout.flush()
    except SurrealError as error:
        click.echo(str(error), err=True)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:
        # the reader (head, less) has seen enough; keep the interpreter from failing again at its last flush
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return result if isinstance(result, int) else 0
