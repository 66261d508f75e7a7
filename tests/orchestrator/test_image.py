"""The image: what the Dockerfile promises, what the locks pin, and that the package alone is enough to build it."""

import json
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import surreal
from surreal.orchestrator.backends.kube.names import CODE_FOLDER, RUN_FOLDER, USER_ID
from surreal.orchestrator.experiment.pod_model import default_image
from surreal.orchestrator.image import write_context

ROOT = Path(__file__).parents[2]
LOCKS = ROOT / "orchestrator" / "container"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def locked(name: str) -> dict[str, str]:
    """Package -> version of a lock file, whose every line is a pin with hashes or a comment."""
    joined = (LOCKS / name).read_text().replace("\\\n", " ")
    lines = [line for line in joined.splitlines() if line and not line.startswith("#")]
    for line in lines:
        assert re.fullmatch(r"[a-z0-9-]+==\S+( +--hash=sha256:[0-9a-f]{64})+ *", line), line
    return dict(line.split()[0].split("==") for line in lines)


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions, in order."""
    joined = re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    pairs = [line.split(maxsplit=1) for line in joined.splitlines() if line.strip()]
    return [(name, rest) for name, rest in pairs]


def one(name: str) -> str:
    (found,) = [rest for each, rest in instructions() if each == name]
    return found


def test_the_base_is_one_image_for_ever() -> None:
    # the full name: buildah may know no registry to look for a short one
    assert re.fullmatch(r"docker\.io/library/python:3\.11\.\d+-slim-bookworm@sha256:[0-9a-f]{64}", one("FROM"))


def test_the_process_is_the_worker_and_not_root() -> None:
    assert one("USER") == f"{USER_ID}:{USER_ID}"
    assert json.loads(one("ENTRYPOINT")) == ["python", "-P", "-m", "surreal.protocol.worker"]
    assert [rest for name, rest in instructions() if name == "WORKDIR"][-1] == RUN_FOLDER
    made = " ".join(rest for name, rest in instructions() if name == "RUN")
    assert f"chown {USER_ID}:{USER_ID} {RUN_FOLDER} {CODE_FOLDER}" in made
    names = [name for name, _ in instructions()]
    assert names.index("USER") > max(i for i, name in enumerate(names) if name == "RUN")


def test_every_package_is_held_to_its_hash_and_nothing_is_compiled() -> None:
    installs = [part for name, rest in instructions() if name == "RUN" for part in rest.split("&&") if "pip i" in part]
    assert len(installs) == 2
    for each in installs:
        assert "--require-hashes" in each and "--only-binary :all:" in each and "--no-deps" in each
    text = (ROOT / "Dockerfile").read_text()
    assert not re.search(r"\b(apt|apt-get|curl|wget|gcc|ADD)\b", text)


def test_a_change_of_the_source_leaves_the_layers_of_packages_alone() -> None:
    order = [rest.split()[0] for name, rest in instructions() if name == "COPY"]
    locks, source = order[:2], order[2:]
    assert locks == ["orchestrator/container/torch-${TORCH}.txt", "orchestrator/container/requirements.txt"]
    assert source == [
        "src/surreal/__init__.py",
        "algorithms",
        "charts",
        "cli",
        "orchestrator",
        "protocol",
        "provisioner",
    ]
    before = [name for name, rest in instructions() if "site-packages" in rest]
    assert before == ["WORKDIR"], "the source comes after all packages"


def test_the_locks_pin_what_the_project_needs() -> None:
    pins = locked("requirements.txt")
    wanted = [*PROJECT["dependencies"], *(each for x in ("s3", "gcs") for each in PROJECT["optional-dependencies"][x])]
    for each in map(Requirement, wanted):
        if each.name != "torch":
            assert each.specifier.contains(pins[each.name.lower().replace("_", "-")]), each


def test_torch_is_the_one_that_is_tested() -> None:
    tested = re.search(r"^torch==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert tested
    assert locked("torch-cpu.txt") == {"torch": f"{tested[1]}+cpu"}
    cuda = locked("torch-cuda.txt")
    assert cuda["torch"] == tested[1] and "triton" in cuda and any(name.startswith("nvidia-") for name in cuda)
    assert not set(cuda) & set(locked("requirements.txt")), "a package has one pin"


def test_no_lock_says_where_packages_come_from() -> None:
    for path in LOCKS.glob("*.txt"):
        assert not re.search(r"https?:|--index|--find-links|--extra|file:", path.read_text()), path.name


def test_the_package_alone_is_enough_to_build(tmp_path: Path) -> None:
    context = write_context(tmp_path / "context")
    copied = [
        rest.split()[0].replace("${TORCH}", torch)
        for torch in ("cpu", "cuda")
        for name, rest in instructions()
        if name == "COPY"
    ]
    assert all((context / path).exists() for path in copied)
    assert (context / "Dockerfile").read_text() == (ROOT / "Dockerfile").read_text()
    assert not any(path.is_symlink() or path.name == "__pycache__" for path in context.rglob("*"))
    (context / "left over").touch()
    assert not (write_context(context) / "left over").exists()


def test_a_context_by_hand_holds_what_is_copied() -> None:
    allowed = {
        line[1:].split("/")[0] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")
    }
    assert allowed == {rest.split()[0].split("/")[0] for name, rest in instructions() if name == "COPY"}


def test_the_name_says_the_version() -> None:
    assert default_image() == f"surreal:{surreal.__version__}"
    assert default_image(cuda=True) == f"surreal:{surreal.__version__}-cuda"


@pytest.mark.slow
def test_checkov_finds_nothing_in_the_dockerfile() -> None:
    checkov = os.environ.get("SURREAL_CHECKOV") or shutil.which("checkov")
    if not checkov:
        pytest.skip("checkov is not on PATH; set SURREAL_CHECKOV to its program")
    command = [checkov, "--framework", "dockerfile", "--file", str(ROOT / "Dockerfile"), "--compact", "--quiet"]
    command += ["--skip-download"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
