"""`surreal image build`: the command for the builder that is here, printed or run."""

import json
import shlex
import sys
from pathlib import Path
from subprocess import CompletedProcess

import click
import pytest

from surreal.cli.commands.platform.image import command
from surreal.orchestrator.experiment.pod_model import default_image
from surreal.protocol.errors import InvalidInput, SurrealError
from surreal.provisioner.subprocesses import run
from tests.cli.test_main import surreal

PROGRAM = """\
#!{python} -P
import json, sys
from pathlib import Path
here = Path(sys.argv[0])
with (here.parent / "calls").open("a") as calls:
    calls.write(json.dumps([here.name, *sys.argv[1:]]) + "\\n")
first = sys.argv[1]
if (here.parent / (here.name + "-" + first + "-fails")).exists():
    sys.exit(here.name + ": it is broken")
print("step 1 of 1")
"""


class Desk:
    """A home and a PATH with some builders, which record how they are called."""

    def __init__(self, folder: Path) -> None:
        self.programs, self.home = folder / "bin", folder / "home"
        self.programs.mkdir()

    def have(self, *names: str, broken: str = "") -> None:
        for name in names:
            (self.programs / name).write_text(PROGRAM.format(python=sys.executable))
            (self.programs / name).chmod(0o755)
        if broken:
            (self.programs / f"{broken}-fails").touch()

    def build(self, *arguments: str, **environment: str) -> "CompletedProcess[str]":
        around = {"PATH": str(self.programs), "SURREAL_HOME": str(self.home), "SURREAL_TORCH_INDEX": INDEX}
        return surreal("image", "build", *arguments, **{**around, **environment})

    def calls(self) -> list[list[str]]:
        path = self.programs / "calls"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def context(self) -> str:
        return str(self.home / "image")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


INDEX = "https://index.example/cpu"
ARGUMENTS = ["--build-arg=VERSION=0.1.0", "--build-arg=TORCH=cpu", f"--build-arg=TORCH_INDEX={INDEX}"]


def test_the_cpu_build_of_torch_needs_an_index(desk: Desk) -> None:
    desk.have("docker")
    done = desk.build(SURREAL_TORCH_INDEX="")
    assert done.returncode == 2 and "Give its URL with --torch-index or SURREAL_TORCH_INDEX" in done.stderr
    assert desk.calls() == [["docker", "info"]] and not Path(desk.context).exists()


def test_docker_builds_where_it_answers(desk: Desk) -> None:
    desk.have("docker", "minikube", "buildah")
    done = desk.build()
    assert done.returncode == 0, done.stderr
    tag = default_image()
    assert desk.calls() == [["docker", "info"], ["docker", "build", *ARGUMENTS, "--tag", tag, desk.context]]
    assert done.stdout == "" and "step 1 of 1" in done.stderr
    assert f"{tag} is on this machine only, the image that experiments use by default" in done.stderr
    assert f"minikube image load {tag}" in done.stderr
    assert (Path(desk.context) / "Dockerfile").is_file()


def test_the_next_one_builds_where_docker_does_not_answer(desk: Desk) -> None:
    desk.have("docker", "minikube", broken="docker-info")
    done = desk.build("--profile", "lab")
    assert done.returncode == 0, done.stderr
    options = [each.replace("--build-arg=", "--build-opt=build-arg=") for each in ARGUMENTS]
    tag = default_image()
    assert desk.calls()[1] == ["minikube", "status", "--profile=lab"]
    assert desk.calls()[-1] == [
        *("minikube", "image", "build", "--profile=lab", "--all", *options, "--tag", tag, desk.context)
    ]
    assert f"{tag} is on minikube's nodes" in done.stderr


def test_the_build_for_gpus_has_the_name_that_roles_with_a_gpu_use(desk: Desk) -> None:
    done = desk.build("--on", "docker", "--torch", "cuda", "--dry-run")
    assert shlex.split(done.stdout)[-3:-1] == ["--tag", default_image(cuda=True)]


def test_a_dry_run_prints_what_a_shell_can_run_and_runs_nothing(desk: Desk) -> None:
    done = desk.build("--on", "buildah", "--torch", "cuda", "--tag", "r.example/a/s:1", "--push", "--dry-run")
    assert done.returncode == 0, done.stderr
    built, pushed = map(shlex.split, done.stdout.splitlines())
    assert built == [
        *("buildah", "build", "--build-arg=VERSION=0.1.0", "--build-arg=TORCH=cuda"),
        *("--tag", "r.example/a/s:1", desk.context),
    ]
    assert pushed == ["buildah", "push", "r.example/a/s:1"]
    assert desk.calls() == [] and Path(desk.context).is_dir()


BOTH = "linux/amd64,linux/arm64"


def test_an_image_is_built_for_the_platform_of_the_nodes(desk: Desk) -> None:
    done = desk.build("--on", "docker", "--platform", "linux/amd64", "--dry-run")
    assert shlex.split(done.stdout)[:-3] == ["docker", "build", *ARGUMENTS, "--platform=linux/amd64"]


def test_several_platforms_become_one_index(desk: Desk) -> None:
    asked = ("--platform", BOTH, "--tag", "r.example/a/s:1", "--push", "--dry-run")
    docker = shlex.split(desk.build("--on", "docker", *asked).stdout)
    assert docker[:3] == ["docker", "buildx", "build"] and docker[-4:-1] == ["--push", "--tag", "r.example/a/s:1"]
    built, pushed = map(shlex.split, desk.build("--on", "buildah", *asked).stdout.splitlines())
    assert f"--platform={BOTH}" in built and built[-3:-1] == ["--manifest", "r.example/a/s:1"]
    assert pushed == ["buildah", "manifest", "push", "--all", "r.example/a/s:1", "docker://r.example/a/s:1"]


def test_buildah_gives_a_short_name_the_registry_that_nodes_look_in(desk: Desk) -> None:
    built = shlex.split(desk.build("--on", "buildah", "--dry-run").stdout)
    assert built[-3:-1] == ["--tag", f"docker.io/library/{default_image()}"]


def test_an_image_for_a_cluster_is_pushed(desk: Desk) -> None:
    desk.have("docker")
    done = desk.build("--tag", "r.example/a/s:1", "--push")
    assert done.returncode == 0, done.stderr
    assert desk.calls()[-1] == ["docker", "push", "r.example/a/s:1"]
    assert "r.example/a/s:1 is pushed, use it by --set spec.image=r.example/a/s:1" in done.stderr


def test_output_that_was_said_is_not_repeated_in_the_error() -> None:
    said: list[str] = []
    with pytest.raises(SurrealError) as failed:
        run([sys.executable, "-c", "print('first'); print('last'); raise SystemExit(3)"], said.append)
    assert said == ["first", "last"]
    _, words, advice = str(failed.value).splitlines()
    assert (words, advice) == ("last.", "Repair the cause, and give the command again.")


def test_a_build_that_fails_says_the_builders_last_words(desk: Desk) -> None:
    desk.have("docker", broken="docker-build")
    done = desk.build()
    assert done.returncode == 1
    assert "docker: it is broken" in done.stderr and "failed with exit code 1" in done.stderr
    assert "Traceback" not in done.stderr and "the image that experiments use by default" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            (),
            "image: no program here can build one: no docker, minikube, buildah is installed. Start or install one of",
        ),
        (("--on", "docker"), "is not on your PATH. Install it: https://docs.docker.com"),
        (("--on", "kaniko"), "'kaniko' is not one of"),
        (("--on", "docker", "--dry-run", "--push"), "surreal:0.1.0 names no registry. Give --tag registry.example"),
        (("--on", "minikube", "--dry-run", "--push", "--tag", "a/b"), "minikube builds on its own nodes"),
        (("--on", "docker", "--dry-run", "--profile", "lab"), "--profile: it is minikube's"),
        (("--on", "docker", "--dry-run", "--tag", "-rf x"), "--tag: must be an image such as"),
        (("--on", "docker", "--dry-run", "--platform", "linux/riscv64"), "'linux/riscv64' has no locked packages"),
        (("--on", "minikube", "--dry-run", "--platform", "linux/arm64"), "minikube builds for its own nodes"),
        (("--on", "docker", "--dry-run", "--platform", "linux/amd64,linux/arm64"), "in a registry only. Add --push"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_built(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], words: str
) -> None:
    monkeypatch.setenv("PATH", str(desk.programs))
    monkeypatch.setenv("SURREAL_HOME", str(desk.home))
    with pytest.raises((InvalidInput, click.UsageError)) as raised:
        command.main(["build", *arguments], standalone_mode=False)
    assert words in str(raised.value)
    assert not Path(desk.context).exists()


def test_a_builder_that_does_not_answer_is_named(desk: Desk) -> None:
    desk.have("docker", broken="docker-info")
    assert "docker here, but without an answer" in desk.build().stderr
    done = desk.build("--on", "docker")
    assert done.returncode == 2 and "docker does not answer. No image was built: docker info says why" in done.stderr
