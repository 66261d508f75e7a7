"""`surreal render`: what create sends, to read, to keep, to apply."""

import json
import stat
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from surreal.cli.commands.experiment.objects import render as command
from surreal.protocol.errors import InvalidInput
from tests.cli.test_main import surreal

CLUSTER = Path(__file__).parents[2] / "examples/clusters/gke.yaml"
EXPERIMENT = """\
metadata: {name: cart}
spec:
  env: {id: CartPole-v1}
  algorithm: {name: ppo}
  storage: {kind: claim}
"""


def render(*arguments: str | Path) -> Result:
    """The command in this process, which has imported everything already."""
    return CliRunner().invoke(command, [*map(str, arguments), "--pools", str(CLUSTER)])


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    path = tmp_path / "experiment.yaml"
    path.write_text(EXPERIMENT)
    return path


def test_a_cluster_file_is_enough_to_print_all_objects(experiment: Path) -> None:
    done = surreal("render", experiment, "--pools", CLUSTER)
    assert (done.returncode, done.stderr) == (0, "")
    found = list(yaml.safe_load_all(done.stdout))
    assert [each["kind"] for each in found] == [
        *("ConfigMap", "ConfigMap", "Secret", "ServiceAccount", "Service", "PersistentVolumeClaim"),
        *["NetworkPolicy"] * 4,
        *["Job"] * 3,
    ]
    assert set(found[2]["stringData"].values()) == {"<made by create>"}


def test_with_keys_what_is_printed_is_complete_and_new_each_time(experiment: Path) -> None:
    runs = set()
    for _ in range(2):
        done = render(experiment, "--with-keys")
        (secret,) = [each for each in yaml.safe_load_all(done.stdout) if each["kind"] == "Secret"]
        assert json.loads(secret["stringData"]["actor.json"])["role"] == "actor"
        runs.add(secret["metadata"]["name"])
    assert len(runs) == 2


def test_a_folder_gets_a_private_file_for_each_object_in_their_order(experiment: Path, tmp_path: Path) -> None:
    folder = tmp_path / "objects"
    done = render(experiment, "-d", folder)
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", f"13 objects in {folder}\n")
    files = sorted(folder.iterdir())
    assert [file.name for file in files][:1] == ["00-configmap-cart.yaml"]
    assert files[-1].name == "12-job-cart-evaluator.yaml"
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert "---\n".join(file.read_text() for file in files) == render(experiment).stdout
    assert "is not empty" in str(render(experiment, "-d", folder).exception)


def test_code_beside_the_file_goes_along(experiment: Path) -> None:
    (experiment.parent / "code").mkdir()
    (experiment.parent / "code" / "mine.py").write_text("x = 1\n")
    done = render(experiment, "--set", "spec.code=./code")
    maps = [each for each in yaml.safe_load_all(done.stdout) if each["kind"] == "ConfigMap"]
    assert [list(each["binaryData"]) for each in maps if "binaryData" in each] == [["code.tar.gz"]]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--on", "local"], "--on local: "),
        (["--set", "spec.storage.kind=auto"], "auto depends on the cluster"),
        (["--set", "metadata.name=1st"], "begins with a digit"),
        (["-d", "/proc/none"], "--directory: cannot write to /proc/none"),
    ],
)
def test_what_cannot_be_rendered_is_said_in_a_sentence(experiment: Path, options: list[str], said: str) -> None:
    done = render(experiment, *options)
    assert isinstance(done.exception, InvalidInput) and said in str(done.exception)
    assert done.stdout == ""
