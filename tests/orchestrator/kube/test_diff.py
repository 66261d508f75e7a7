"""`surreal diff`: what the file would change, what must be made anew, what is there that it does not want any more."""

import json
from pathlib import Path

from click.testing import CliRunner

from surreal.cli.commands.experiment.objects import diff as command
from surreal.orchestrator.backends.kube.lifecycle import create as apply
from surreal.orchestrator.backends.kube.lifecycle.diff import Difference, diff, identity
from surreal.orchestrator.backends.kube.manifests.render import render
from surreal.orchestrator.experiment.load import load_experiment
from surreal.orchestrator.inventory import Machines
from surreal.orchestrator.planning import plan_for
from surreal.orchestrator.run.location import Location
from surreal.orchestrator.run.wiring import key_files
from surreal.protocol.errors import ExitCode
from surreal.provisioner.kube.kinds import Object
from tests.orchestrator.kube.apiserver import NAMESPACE, Server, api_server
from tests.orchestrator.kube.drawn import NAME, drawer

NODE = json.loads((Path(__file__).parents[2] / "provisioner/pools/data/nodes/minikube.json").read_text())["nodes"][0]
FILE = Path(__file__).parents[3] / "examples/cartpole-ppo.yaml"


def compare(server: Server, objects: list[Object]) -> list[Difference]:
    return diff(server.api(), NAME, objects)


def created(server: Server) -> list[Object]:
    apply.create(server.api(), drawer(), server.said.append)
    run, attempt, user = identity(server.api(), NAME)
    assert (attempt, user) == (1, "ada")
    return list(drawer()(run, attempt))


def test_what_was_just_created_does_not_differ(tmp_path: Path) -> None:
    with api_server(tmp_path) as server:
        objects = created(server)
        before = {key: each["metadata"]["resourceVersion"] for key, each in server.store.objects.items()}
        assert compare(server, objects) == []
        assert before == {key: each["metadata"]["resourceVersion"] for key, each in server.store.objects.items()}


def test_without_the_experiment_all_is_added_but_the_keys(tmp_path: Path) -> None:
    with api_server(tmp_path) as server:
        objects = list(drawer()("0" * 8, 1))
        found = compare(server, objects)
        assert [(each.kind, each.name) for each in found] == [
            (each["kind"], each["metadata"]["name"]) for each in objects if each["kind"] != "Secret"
        ]
        assert {each.change for each in found} == {"added"}
        assert found[0].text().startswith("--- /dev/null\n+++ file/ConfigMap/toy\n")


def test_a_change_is_shown_as_the_server_would_make_it(tmp_path: Path) -> None:
    with api_server(tmp_path) as server:
        objects = created(server)
        service = next(each for each in objects if each["kind"] == "Service")
        service["spec"]["publishNotReadyAddresses"] = True
        [found] = compare(server, objects)
        assert (found.kind, found.change) == ("Service", "changed")
        assert "+  publishNotReadyAddresses: true" in found.text()
        assert "publishNotReadyAddresses" not in server.store.get("Service", NAMESPACE, NAME)["spec"]


def test_what_no_job_lets_one_change_is_to_be_recreated(tmp_path: Path) -> None:
    with api_server(tmp_path) as server:
        objects = created(server)
        actor = next(each for each in objects if (each["kind"], each["metadata"]["name"]) == ("Job", "toy-actor"))
        actor["spec"]["template"]["spec"]["containers"][0]["image"] = "other:1"
        [found] = compare(server, objects)
        assert (found.kind, found.name, found.change) == ("Job", "toy-actor", "recreated")
        assert "field is immutable" in found.note
        lines = [line for line in found.text().splitlines() if line[:1] in "+-"][2:]
        assert [line[:1] + line[1:].strip() for line in lines] == [
            "-image: registry.k8s.io/pause:3.10",
            "+image: other:1",
        ]


def test_what_the_file_does_not_want_any_more_is_removed(tmp_path: Path) -> None:
    with api_server(tmp_path) as server:
        objects = [each for each in created(server) if "evaluator" not in each["metadata"]["name"]]
        found = compare(server, objects)
        assert [(each.kind, each.name, each.change) for each in found] == [
            ("Job", "toy-evaluator", "removed"),
            ("NetworkPolicy", "toy-evaluator", "removed"),
        ]


def test_the_command_answers_as_kubectl_diff_does(tmp_path: Path) -> None:
    with api_server(tmp_path) as server:
        server.api().post("Node", NODE)
        create_from_file(server)
        code, out, err = run(server)
        assert (code, out) == (ExitCode.DONE, ""), out
        assert "nothing differs" in err
        code, out, _ = run(server, "--set", "spec.seed=99", "-o", "json")
        assert code == 1
        root = json.loads(out)[0]
        assert (root["kind"], root["name"], root["change"]) == ("ConfigMap", "cartpole-ppo", "changed")
        assert "+    seed: 99" in root["diff"]
        server.mix(1.0, 403, seed=0)
        assert run(server)[0] == ExitCode.INVALID


def run(server: Server, *arguments: str) -> tuple[int, str, str]:
    line = [str(FILE), "--kubeconfig", str(server.kubeconfig), *arguments]
    outcome = CliRunner().invoke(command, line, standalone_mode=False)
    assert outcome.exception is None
    return outcome.return_value, outcome.stdout, outcome.stderr


def create_from_file(server: Server) -> None:
    """As `surreal create` does, without its watching."""
    experiment = load_experiment(FILE)
    plan = plan_for(experiment, Machines(Location("kube", kubeconfig=str(server.kubeconfig))))

    def draw(run: str, attempt: int) -> list[Object]:
        text = experiment.to_yaml()
        return render(plan, run, NAMESPACE, keys=key_files(plan), code=None, experiment=text, attempt=attempt)

    apply.create(server.api(), draw, server.said.append)


def test_what_has_no_objects_cannot_be_compared() -> None:
    outcome = CliRunner().invoke(command, [str(FILE), "--on", "local"], standalone_mode=False)
    assert (outcome.return_value, outcome.exception) == (ExitCode.INVALID, None)
    assert "has no objects to compare" in outcome.stderr
