"""Modules of the experiment's folder: algorithms and environments, here and with a run that goes to a cluster."""

import base64
import io
import json
import tarfile
from pathlib import Path

import pytest

from surreal.orchestrator.backends.local.backend import LocalBackend
from surreal.orchestrator.experiment.experiment import Experiment
from surreal.orchestrator.experiment.load import load_experiment
from surreal.orchestrator.planning import plan_for
from surreal.protocol.errors import InvalidInput
from tests.cli.terminal import surreal
from tests.orchestrator.kube.apiserver import api_server

NODE = Path(__file__).parents[2] / "provisioner/pools/data/nodes/minikube.json"
MODULE = '''\
from surreal import Algorithm, Config, Role, Stream

class Settings(Config):
    rate: float = 0.5

def learner(process):
    """Return at once."""

OWN = Algorithm("own", Settings, [Role("learner", learner, ends_run=True)], [])
'''
FILE = """\
apiVersion: surreal.dev/v1alpha1
kind: Experiment
metadata: {name: own}
spec:
  env: {id: CartPole-v1}
  algorithm: {name: "own_module:OWN", config: {rate: 0.25}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """An experiment file with its own algorithm beside it."""
    (tmp_path / "own_module.py").write_text(MODULE)
    path = tmp_path / "experiment.yaml"
    path.write_text(FILE)
    return path


def test_an_algorithm_beside_the_file_trains_here(place: LocalBackend, file: Path) -> None:
    done = surreal("create", file)
    assert done.returncode == 0, done.stderr
    plan = plan_for(load_experiment(file))
    assert (plan.algorithm, plan.config, plan.roles[0].run) == (
        "own_module:OWN",
        {"rate": 0.25},
        "own_module:learner",
    )


def test_modules_are_those_of_the_folder_that_goes_along(place: LocalBackend, file: Path) -> None:
    mine = file.parent / "mine"
    mine.mkdir()
    (file.parent / "own_module.py").rename(mine / "own_module.py")
    file.write_text(FILE + "  code: ./mine\n")
    assert plan_for(load_experiment(file)).algorithm == "own_module:OWN"
    done = surreal("create", file)
    assert done.returncode == 0, done.stderr
    # a run keeps the folder's files as its own, and a fork finds them there
    kept = load_experiment(file).to_data()
    assert Experiment.from_data(kept, folder=mine).own_modules() == ["own_module"]


def test_a_module_beside_the_folder_that_goes_along_is_not_there(file: Path) -> None:
    (file.parent / "mine").mkdir()
    file.write_text(FILE + "  code: ./mine\n")
    with pytest.raises(InvalidInput, match=r"no module 'own_module' in .*mine or the .*packages. Put own_module"):
        load_experiment(file)


@pytest.mark.parametrize("code", ["nowhere", "own_module.py", "a" * 300])
def test_code_that_is_no_folder_is_refused_by_a_plan_at_its_line(file: Path, code: str) -> None:
    file.write_text(FILE + f"  code: {code}\n")
    with pytest.raises(InvalidInput, match=rf"experiment.yaml:7: spec.code: .*{code} is no folder. Name one, relative"):
        plan_for(load_experiment(file))


def test_its_folder_travels_with_a_run_to_a_cluster(
    place: LocalBackend, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with api_server(tmp_path) as server:
        server.api().post("Node", json.loads(NODE.read_text())["nodes"][0])
        monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig))
        done = surreal("render", file, "--on", "kube", "-o", "json")
    assert done.returncode == 0, done.stderr
    archives = [each["binaryData"]["code.tar.gz"] for each in json.loads(done.stdout) if each.get("binaryData")]
    assert archives, "a ConfigMap holds the code"
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(archives[0]))) as archive:
        assert "own_module.py" in archive.getnames()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import surreal\n\n1 / 0\n", "own_module.py:3: ZeroDivisionError: division by zero"),
        ("def broken(:\n", "own_module.py:1: SyntaxError"),
        ("raise SystemExit(3)\n", "own_module.py:1: SystemExit: 3"),
        ("OWNED = 1\n", "has no 'OWN' (did you mean 'OWNED'?)"),
        ("OWN = 3\n", "OWN is a int"),
    ],
)
def test_a_module_that_does_not_work_is_named_with_file_and_line_and_nothing_starts(
    place: LocalBackend, file: Path, text: str, said: str
) -> None:
    file.with_name("own_module.py").write_text(text)
    done = surreal("create", file)
    assert done.returncode == 2
    assert "spec.algorithm.name" in done.stderr and said in done.stderr, done.stderr
    assert place.names() == []


def test_a_config_of_ones_own_is_checked_at_its_line(file: Path) -> None:
    file.write_text(FILE.replace("rate: 0.25", "rte: 1"))
    with pytest.raises(InvalidInput, match="6: spec.algorithm.config.rte: unknown key 'rte'.*did you mean 'rate'"):
        load_experiment(file)
