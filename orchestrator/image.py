"""The container image that every pod of an experiment runs: what it is called, and the command that builds it.

The build context is made of the surreal that runs this, so that it needs no checkout: the Dockerfile and the locks are
part of the package. Docker, minikube or buildah does the work.
"""

import shutil
import subprocess
from collections.abc import Callable, Sequence
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
PLATFORMS = ("linux/amd64", "linux/arm64")
"""Platforms for which the locks have packages."""
DOCKER_HUB = "docker.io/library"
"""The registry that nodes put before a short name."""
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
        raise InvalidInput(f"--on {wanted}: is not on your PATH. Install it: {INSTALL[wanted]}")
    for name in [wanted] if wanted else ANSWERS:
        if shutil.which(name) and _answers(_question(name, profile)):
            return name
    if wanted:
        command = " ".join(_question(wanted, profile))
        raise InvalidInput(f"--on {wanted}: {wanted} does not answer. No image was built: {command} says why.")
    found = [name for name in ANSWERS if shutil.which(name)]
    seen = f"{' and '.join(found)} here, but without an answer" if found else f"no {', '.join(ANSWERS)} is installed"
    ways = ", ".join(f"{name} ({link})" for name, link in INSTALL.items())
    raise InvalidInput(f"image: no program here can build one: {seen}. Start or install one of {ways}.")


def _question(builder: str, profile: str | None) -> Command:
    return [*ANSWERS[builder], *([f"--profile={profile}"] if profile and builder == "minikube" else [])]


def _answers(command: Command) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=ANSWER_SECONDS, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def make_build(
    builder: str,
    tag: str,
    torch: Torch,
    push: bool,
    profile: str | None = None,
    torch_index: str | None = None,
    platforms: Sequence[str] = (),
) -> Build:
    """Write the build context and return the commands that build the image.

    `torch_index` is where the CPU build of torch comes from, `platforms` are `linux/amd64` and its like, this machine's
    if there are none. Raises InvalidInput for what the builder cannot do.
    """
    _check_platforms(builder, platforms, push)
    if push and builder == "minikube":
        raise InvalidInput(
            "--push: minikube builds on its own nodes, which is where its pods find the image. Leave out --push."
        )
    if push and "/" not in tag:
        raise InvalidInput(f"--push: {tag} names no registry. Give --tag registry.example/team/{tag}.")
    if profile and builder != "minikube":
        raise InvalidInput(f"--profile: it is minikube's, and {builder} builds. Give --on minikube.")
    if torch == "cpu" and not torch_index:
        raise InvalidInput(NO_INDEX)
    arguments = {"VERSION": version("surreal"), "TORCH": torch}
    if torch == "cpu" and torch_index:
        arguments["TORCH_INDEX"] = torch_index
    request = Request(str(write_context()), tag, arguments, profile, tuple(platforms), push)
    return Build(builder, BUILDERS[builder](request), _then(builder, tag, push))


def _check_platforms(builder: str, platforms: Sequence[str], push: bool) -> None:
    """Raise InvalidInput for platforms that the builder cannot build for."""
    for each in platforms:
        if each not in PLATFORMS:
            raise InvalidInput(f"--platform: {each!r} has no locked packages. Choose from {', '.join(PLATFORMS)}")
    if platforms and builder == "minikube":
        raise InvalidInput("--platform: minikube builds for its own nodes. Build with docker or buildah instead.")
    if len(platforms) > 1 and builder == "docker" and not push:
        raise InvalidInput("--platform: docker keeps images of several platforms in a registry only. Add --push.")


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


@dataclass(frozen=True)
class Request:
    """Everything that a builder's command is made of."""

    context: str
    """The folder of the build context."""
    tag: str
    arguments: dict[str, str]
    profile: str | None
    """Minikube's."""
    platforms: tuple[str, ...]
    push: bool

    @property
    def options(self) -> Command:
        """The options that docker and buildah share."""
        given = [f"--build-arg={name}={value}" for name, value in self.arguments.items()]
        return [*given, *([f"--platform={','.join(self.platforms)}"] if self.platforms else [])]


def _docker(request: Request) -> tuple[Command, ...]:
    if len(request.platforms) > 1:
        # one index of several images is pushed as it is built
        return (["docker", "buildx", "build", *request.options, "--push", "--tag", request.tag, request.context],)
    command = ["docker", "build", *request.options, "--tag", request.tag, request.context]
    return (command, ["docker", "push", request.tag]) if request.push else (command,)


def _buildah(request: Request) -> tuple[Command, ...]:
    # buildah would call a short name localhost/NAME, which no node looks for
    tag = request.tag if "/" in request.tag else f"{DOCKER_HUB}/{request.tag}"
    index = len(request.platforms) > 1
    command = ["buildah", "build", *request.options, "--manifest" if index else "--tag", tag, request.context]
    pushing = ["buildah", "manifest", "push", "--all", tag, f"docker://{tag}"] if index else ["buildah", "push", tag]
    return (command, pushing) if request.push else (command,)


def _minikube(request: Request) -> tuple[Command, ...]:
    given = [f"--build-opt=build-arg={name}={value}" for name, value in request.arguments.items()]
    where = [f"--profile={request.profile}"] if request.profile else []
    # on all nodes: a pod may run on any of them
    return (["minikube", "image", "build", *where, "--all", *given, "--tag", request.tag, request.context],)


BUILDERS: dict[str, Callable[[Request], tuple[Command, ...]]] = {
    "docker": _docker,
    "minikube": _minikube,
    "buildah": _buildah,
}
"""Builder -> its commands."""


def _then(builder: str, tag: str, pushed: bool) -> str:
    defaults = {
        default_image(): "the image that experiments use by default",
        default_image(cuda=True): "the image that roles with a GPU use by default",
    }
    named = defaults.get(tag, f"use it by --set spec.image={tag}")
    if builder == "minikube":
        return f"{tag} is on minikube's nodes, {named}"
    if pushed:
        return f"{tag} is pushed, {named}"
    return (
        f"{tag} is on this machine only, {named}: for minikube load it with minikube image load {tag}, "
        "for a cluster build it with --tag registry.example/team/... --push"
    )
