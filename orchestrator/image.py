"""The container image that every pod of an experiment runs: what it is called, and the command that builds it.

The build context is made of the surreal that runs this, so that it needs no checkout: the Dockerfile and the locks are
part of the package. Docker, minikube or buildah does the work.
"""

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from surreal.orchestrator.experiment.pod_model import default_image
from surreal.orchestrator.run.home import home
from surreal.protocol.errors import InvalidInput

Torch = Literal["cpu", "cuda"]
PACKAGES = ("algorithms", "charts", "cli", "orchestrator", "protocol", "provisioner")
"""Packages that the Dockerfile copies."""
FRONT_DOOR = ("__init__.py", "py.typed")
"""Files of `surreal` itself, at the place where a checkout has them."""
INSTALL = {
    "docker": "https://docs.docker.com/engine/install",
    "minikube": "https://minikube.sigs.k8s.io/docs/start",
    "buildah": "https://buildah.io",
}
"""Builder -> how to get it."""
ANSWER_SECONDS = 20.0
NO_INDEX = (
    "--torch cpu: PyTorch keeps its CPU builds in an index of its own. Give its URL with --torch-index or "
    "SURREAL_TORCH_INDEX: pytorch.org/get-started shows it behind --index-url for Linux, Pip and CPU. "
    "--torch cuda needs none, and is larger by gigabytes"
)

Command = list[str]
ANSWERS: dict[str, Command] = {
    "docker": ["docker", "info"],
    "minikube": ["minikube", "status"],
    "buildah": ["buildah", "version"],
}
"""Builder -> the command that succeeds where it can build; the first that does is taken."""


@dataclass(frozen=True)
class Build:
    """Plan of `surreal image build`: its commands in order, and the next step."""

    builder: str
    commands: tuple[Command, ...]
    then: str
    """One sentence."""


def choose(wanted: str | None = None, profile: str | None = None) -> str:
    """Return the builder asked for, or the first one here that works. Raises InvalidInput that lists those here."""
    if wanted and not shutil.which(wanted):
        raise InvalidInput(f"{wanted} is not on your PATH: {INSTALL[wanted]}")
    for name in [wanted] if wanted else ANSWERS:
        if shutil.which(name) and _answers(_question(name, profile)):
            return name
    if wanted:
        command = " ".join(_question(wanted, profile))
        raise InvalidInput(f"{wanted} does not answer: {command} says why. No image was built")
    found = [name for name in ANSWERS if shutil.which(name)]
    seen = f"{' and '.join(found)} here, but without an answer" if found else f"no {', '.join(ANSWERS)} is installed"
    ways = ", ".join(f"{name} ({link})" for name, link in INSTALL.items())
    raise InvalidInput(f"no program here can build an image: {seen}; start or install one of {ways}")


def _question(builder: str, profile: str | None) -> Command:
    return [*ANSWERS[builder], *([f"--profile={profile}"] if profile and builder == "minikube" else [])]


def _answers(command: Command) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=ANSWER_SECONDS, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def make_build(
    builder: str, tag: str, torch: Torch, push: bool, profile: str | None = None, torch_index: str | None = None
) -> Build:
    """Write the build context and return the commands that build the image.

    `torch_index` is where the CPU build of torch comes from. Raises InvalidInput where it is needed and not given, and
    where an image of that name cannot be pushed, or nothing would be.
    """
    if push and builder == "minikube":
        raise InvalidInput("--push: minikube builds on its own nodes, which is where its pods find the image")
    if push and "/" not in tag:
        raise InvalidInput(f"--push: {tag} names no registry; give --tag registry.example/team/{tag}")
    if profile and builder != "minikube":
        raise InvalidInput(f"--profile is minikube's, and {builder} builds; give --on minikube")
    if torch == "cpu" and not torch_index:
        raise InvalidInput(NO_INDEX)
    arguments = {"VERSION": version("surreal"), "TORCH": torch}
    if torch == "cpu" and torch_index:
        arguments["TORCH_INDEX"] = torch_index
    command = BUILDERS[builder](str(write_context()), tag, arguments, profile)
    pushing = ([builder, "push", tag],) if push else ()
    return Build(builder, (command, *pushing), _then(builder, tag, push))


def write_context(folder: Path | None = None) -> Path:
    """Make a folder with the files that the Dockerfile needs, SURREAL_HOME/image by default; return it."""
    folder = folder or home() / "image"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    for package in PACKAGES:
        found = find_spec(f"surreal.{package}")
        assert found and found.origin, "this module is in one of them"
        shutil.copytree(Path(found.origin).parent, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    own = folder / "src" / "surreal"
    own.mkdir(parents=True)
    front = find_spec("surreal")
    assert front and front.origin, "this module is in it"
    for name in FRONT_DOOR:
        shutil.copy(Path(front.origin).with_name(name), own)
    shutil.copy(folder / "orchestrator" / "container" / "Dockerfile", folder)
    return folder


def _with_options(program: str) -> Callable[[str, str, dict[str, str], str | None], Command]:
    """Return the command of docker, which is also buildah's."""

    def command(context: str, tag: str, arguments: dict[str, str], _: str | None) -> Command:
        given = [f"--build-arg={name}={value}" for name, value in arguments.items()]
        return [program, "build", *given, "--tag", tag, context]

    return command


def _minikube(context: str, tag: str, arguments: dict[str, str], profile: str | None) -> Command:
    given = [f"--build-opt=build-arg={name}={value}" for name, value in arguments.items()]
    where = [f"--profile={profile}"] if profile else []
    # on all nodes: a pod may run on any of them
    return ["minikube", "image", "build", *where, "--all", *given, "--tag", tag, context]


BUILDERS = {"docker": _with_options("docker"), "minikube": _minikube, "buildah": _with_options("buildah")}
"""Builder -> its command, of the context's folder, the image's name, the build's arguments and minikube's profile."""


def _then(builder: str, tag: str, pushed: bool) -> str:
    named = (
        "the image that experiments use by default" if tag == default_image() else f"use it by --set spec.image={tag}"
    )
    if builder == "minikube":
        return f"{tag} is on minikube's nodes, {named}"
    if pushed:
        return f"{tag} is pushed, {named}"
    return (
        f"{tag} is on this machine only, {named}: for minikube load it with minikube image load {tag}, "
        "for a cluster build it with --tag registry.example/team/... --push"
    )
