"""`surreal completion`: the script that makes a shell complete surreal's commands, options and names."""

import click
from click.shell_completion import get_completion_class


@click.command(name="completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print a script that completes commands in SHELL.

    \b
    bash:  echo 'eval "$(surreal completion bash)"' >> ~/.bashrc
    zsh:   echo 'eval "$(surreal completion zsh)"' >> ~/.zshrc
    fish:  surreal completion fish > ~/.config/fish/completions/surreal.fish
    """
    complete = get_completion_class(shell)
    assert complete is not None, "the choices above are click's own"
    click.echo(complete(ctx.find_root().command, {}, "surreal", "_SURREAL_COMPLETE").source())
