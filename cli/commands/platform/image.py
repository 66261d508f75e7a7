"""`surreal image`: the container image that pods run."""

import shlex

import click

from surreal.cli.ui.output import talk
from surreal.orchestrator.experiment.pod_model import default_image
from surreal.orchestrator.image import ANSWERS, Torch, choose, make_build
from surreal.protocol.errors import ExitCode, InvalidInput


@click.group(name="image")
def command() -> None:
    """Build the container image that the pods of experiments run."""


@command.command(name="build")
@click.option(
    "--on", "builder", type=click.Choice(list(ANSWERS)), help="Program that builds; the first that works if left out."
)
@click.option("-t", "--tag", metavar="IMAGE", help="Name of the image; surreal:VERSION if left out.")
@click.option(
    "--torch",
    type=click.Choice(["cpu", "cuda"]),
    default="cpu",
    show_default=True,
    help="The build of torch in it; cuda, for GPUs, is larger by gigabytes.",
)
@click.option(
    "--torch-index",
    metavar="URL",
    envvar="SURREAL_TORCH_INDEX",
    help="PyTorch's index of CPU builds, as pytorch.org/get-started shows it. Or set SURREAL_TORCH_INDEX.",
)
@click.option(
    "--platform",
    "platforms",
    metavar="OS/ARCH[,...]",
    default="",
    help="Platform of the nodes, such as linux/amd64 or linux/amd64,linux/arm64; this machine's if left out.",
)
@click.option("--push", is_flag=True, help="Push it to the registry that --tag names.")
@click.option("--profile", metavar="NAME", help="The cluster of minikube; its current one if left out.")
@click.option("--dry-run", is_flag=True, help="Print the commands on stdout without running them.")
def build(
    builder: str | None,
    tag: str | None,
    torch: Torch,
    torch_index: str | None,
    platforms: str,
    push: bool,
    profile: str | None,
    dry_run: bool,
) -> ExitCode:
    """Build the image of this version of surreal, with docker, minikube or buildah.

    Needs no checkout. A second build after a change of surreal takes seconds: packages of others come first.
    """
    # what is only printed may be run elsewhere
    chosen = builder if builder and dry_run else choose(builder, profile)
    wanted = tuple(each.strip() for each in platforms.split(",") if each.strip())
    made = make_build(
        chosen, _checked(tag or default_image(torch == "cuda")), torch, push, profile, torch_index, wanted
    )
    for each in made.commands:
        if dry_run:
            click.echo(shlex.join(each))
        else:
            _run(each)
    if not dry_run:
        talk(made.then)
    return ExitCode.DONE


def _checked(tag: str) -> str:
    from surreal.orchestrator.experiment.pod_model import check_image

    try:
        return check_image(tag)
    except ValueError as error:
        raise InvalidInput(f"--tag: {error}. Name an image so.") from None


def _run(arguments: list[str]) -> None:
    from surreal.provisioner import subprocesses as commands

    talk(f"+ {shlex.join(arguments)}")
    commands.run(arguments, talk)
