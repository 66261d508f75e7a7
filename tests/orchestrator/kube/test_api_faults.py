"""What an API server or the way to it can do to a request, and what a person then reads: rows K1-K5, K13, K15."""

import json
import os
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from surreal.orchestrator.backends.kube.lifecycle import create as apply
from surreal.protocol.errors import ExitCode, InvalidInput, SurrealError
from surreal.provisioner.kube import client as api_module
from surreal.provisioner.kube import transport
from surreal.provisioner.kube.client import Api
from surreal.provisioner.kube.errors import AbsentError, ApiError
from surreal.provisioner.kube.kubeconfig import IN_CLUSTER, access
from tests.orchestrator.kube.apiserver import NAMESPACE, api_server, write_kubeconfig
from tests.orchestrator.kube.drawn import drawer


def config_map(name: str, **labels: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels}, "data": {"a": "b"}}


def test_a_server_that_asks_to_slow_down_is_given_the_time_it_asks_for(tmp_path: Path) -> None:
    with api_server(tmp_path) as server:
        server.fault(429, times=3, headers={"Retry-After": "2"})
        server.api().post("ConfigMap", config_map("x"))
        assert server.said == ["the API server asks to slow down; retrying for up to 300 s"]
        assert len(server.pauses) == 3
        assert all(2 <= pause <= 2.5 for pause in server.pauses)


def test_an_outage_is_said_once_however_many_requests_it_hits(tmp_path: Path) -> None:
    with api_server(tmp_path) as server:
        api = server.api()
        server.fault(503, times=6)
        with ThreadPoolExecutor(3) as pool:
            for each in [pool.submit(api.list, "Pod") for _ in range(3)]:
                each.result()
        assert len(server.said) == 1
        server.fault(503, times=1)
        api.list("Pod")
        assert len(server.said) == 2, "this is another outage"


def test_a_server_that_never_has_time_is_given_up_after_five_minutes(tmp_path: Path) -> None:
    with api_server(tmp_path) as server:
        server.fault(429, times=1000, headers={"Retry-After": "40"})
        with pytest.raises(SurrealError, match="429"):
            server.api().get("ConfigMap", "x")
        assert 200 < sum(server.pauses) <= 300


@pytest.mark.parametrize("what", [500, 502, 503, 504, "reset", "lost"])
@pytest.mark.parametrize("verb", ["get", "list", "post", "apply", "patch", "delete"])
def test_a_request_that_failed_half_way_is_sent_again(tmp_path: Path, what: int | str, verb: str) -> None:
    with api_server(tmp_path) as server:
        api = server.api()
        api.apply("ConfigMap", config_map("there"))
        server.fault(what, times=2 if what != "lost" or verb in ("get", "list", "apply", "patch") else 1)
        match verb:
            case "get":
                assert api.get("ConfigMap", "there")["data"] == {"a": "b"}
            case "list":
                assert len(api.list("ConfigMap")) == 1
            case "post" if what == "lost":
                # a second POST cannot know whose the first was: `create` looks at the run
                with pytest.raises(ApiError, match="already exists"):
                    api.post("ConfigMap", config_map("new"))
            case "post":
                api.post("ConfigMap", config_map("new"))
            case "apply":
                api.apply("ConfigMap", config_map("new"))
            case "patch":
                api.patch("ConfigMap", "there", {"data": {"a": "c"}})
            case "delete":
                assert api.delete("ConfigMap", "there") is (what != "lost")
        assert "retrying" in server.said[0]
        assert server.store.names("ConfigMap") == {
            "post": ["new", "there"],
            "apply": ["new", "there"],
            "delete": [],
        }.get(verb, ["there"])


def test_a_server_that_stays_unwell_is_given_up_with_its_words(tmp_path: Path) -> None:
    with api_server(tmp_path) as server:
        server.fault(500, times=100, message="etcdserver: no leader")
        with pytest.raises(SurrealError, match="500 .etcdserver: no leader"):
            server.api().list("Pod")
        assert len(server.requests) == 6


def test_a_caller_that_comes_again_by_itself_has_fewer_retries(tmp_path: Path) -> None:
    with api_server(tmp_path) as server:
        api = server.api()
        api.retries.longest = 2.0
        server.fault(503, times=100)
        with pytest.raises(ApiError):
            api.get("Pod", "toy")
        assert 0.0 < sum(server.pauses) <= 2.0


def test_a_conflict_is_tried_five_times_within_a_moment(tmp_path: Path) -> None:
    with api_server(tmp_path) as server:
        server.fault(409, times=4, message="Operation cannot be fulfilled on resourcequotas q")
        server.api().post("ConfigMap", config_map("x"))
        assert len(server.pauses) == 4
        assert sum(server.pauses) < 1
        server.fault(409, times=5, message="Operation cannot be fulfilled on resourcequotas q")
        with pytest.raises(SurrealError, match="keeps changing the same object or its quota .*resourcequotas q"):
            server.api().post("ConfigMap", config_map("y"))
        assert server.said == []


def test_a_silent_server_is_waited_for_no_longer_than_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with api_server(tmp_path) as server:
        api = server.api()
        api.list("Pod")
        # from now on: on a busy machine the first answer may take as long
        monkeypatch.setattr(transport, "READ", 0.2)
        monkeypatch.setattr(transport.Transport.open, "__defaults__", (None, "", 0.2, ""))
        server.fault("silence")
        assert api.list("Pod") == []
        assert server.said == [
            f"the API server at {server.address} is silent: no answer in 0.2 s; retrying for up to 60 s"
        ]


def test_a_watch_that_falls_silent_or_behind_lists_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_module, "RELIST", 1.0)
    monkeypatch.setattr(api_module, "CONNECT", 0.0)
    with api_server(tmp_path) as server:
        api, other = server.api(), server.api()
        server.fault("silence", verb="GET", nth=2)
        lists = api.watch("ConfigMap", labels="of=us", seconds=200)
        assert next(lists) == []
        other.apply("ConfigMap", config_map("new", of="us"))
        other.apply("ConfigMap", config_map("foreign"))
        # it may have listed once more before that was there
        assert [each["metadata"]["name"] for each in next(each for each in lists if each)] == ["new"]
        server.store.forget()
        other.delete("ConfigMap", "new")
        assert next(each for each in lists if not each) == []


def test_a_watch_tells_of_every_change(tmp_path: Path) -> None:
    with api_server(tmp_path) as server:
        lists = server.api().watch("ConfigMap")
        assert next(lists) == []
        for name in ("x", "y"):
            server.api().apply("ConfigMap", config_map(name))
        server.api().delete("ConfigMap", "x")
        seen = [[each["metadata"]["name"] for each in next(lists)] for _ in range(3)]
        assert seen == [["x"], ["x", "y"], ["y"]]


def test_a_list_is_read_page_by_page_and_from_its_start_when_the_server_forgot_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_module, "PAGE", 2)
    with api_server(tmp_path) as server:
        api = server.api()
        for number in range(5):
            api.post("ConfigMap", config_map(f"x{number}"))
        assert [each["metadata"]["name"] for each in api.list("ConfigMap")] == [f"x{n}" for n in range(5)]
        assert {each["kind"] for each in api.list("ConfigMap")} == {"ConfigMap"}
        before = len(server.requests)
        server.fault(410, nth=2, message="The provided continue parameter is too old")
        assert len(api.list("ConfigMap")) == 5
        assert len(server.requests) - before == 5


def test_credentials_are_read_again_once(tmp_path: Path) -> None:
    with api_server(tmp_path, token="old") as server:
        server.tokens = {"old"}
        api = server.api()
        assert api.list("Pod") == []
        server.tokens = {"new"}
        write_kubeconfig(server.kubeconfig, server.address, "new")
        assert api.list("Pod") == []
        server.tokens = {"newer"}
        wanted = "does not accept the credentials of context double.*log in again; runs in the cluster are not affected"
        with pytest.raises(SurrealError, match=wanted):
            api.list("Pod")


def test_fields_that_somebody_else_set_are_not_overwritten(tmp_path: Path) -> None:
    with api_server(tmp_path) as server:
        made = {**config_map("x"), "data": {"a": "theirs"}}
        server.store.apply("ConfigMap", NAMESPACE, "x", made, "kubectl", False, False)
        with pytest.raises(ApiError, match=r"another client has set \.data\.a .*kubectl"):
            server.api().apply("ConfigMap", config_map("x"))
        assert server.api().apply("ConfigMap", config_map("x"), force=True)["data"] == {"a": "b"}


def test_a_field_that_may_not_change_is_named(tmp_path: Path) -> None:
    with api_server(tmp_path) as server:
        server.api().apply("ConfigMap", {**config_map("x"), "immutable": True})
        with pytest.raises(ApiError, match="apply configmaps/x: data: Forbidden: field is immutable"):
            server.api().patch("ConfigMap", "x", {"data": {"a": "c"}})


def test_a_kind_that_the_cluster_does_not_know_is_absent(tmp_path: Path) -> None:
    with (
        api_server(tmp_path) as server,
        pytest.raises(AbsentError, match="could not find the requested resource") as raised,
    ):
        server.api().list("JobSet")
    assert raised.value.exit_code == ExitCode.NOT_FOUND


def test_a_server_that_is_not_there_is_said_at_once(tmp_path: Path) -> None:
    write_kubeconfig(tmp_path / "kubeconfig", "http://127.0.0.1:1")
    api = Api.connect(str(tmp_path / "kubeconfig"))
    with pytest.raises(
        SurrealError, match=r"no API server answers at http://127.0.0.1:1 \(context double\): .*refused"
    ):
        api.list("Pod")


def test_a_host_that_does_not_exist_is_said_at_once(tmp_path: Path) -> None:
    write_kubeconfig(tmp_path / "kubeconfig", "http://no-such-host.invalid")
    with pytest.raises(SurrealError, match=r"no API server answers at http://no-such-host.invalid"):
        Api.connect(str(tmp_path / "kubeconfig")).list("Pod")


def test_what_is_no_api_server_is_told_apart(tmp_path: Path) -> None:
    with api_server(tmp_path) as server:
        server.paths["/version"] = []  # type: ignore[assignment]
        with pytest.raises(SurrealError, match="is no API server"):
            server.api().raw_get("/version")


def test_an_untrusted_certificate_is_not_tried_again(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    with (
        api_server(tmp_path, certificate=certificate) as server,
        pytest.raises(SurrealError, match=r"no safe connection to https://127.0.0.1:\d+ \(context double\)"),
    ):
        server.api().list("Pod")
    assert server.pauses == []


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Signed by nobody who is trusted."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "1",
    ]
    subprocess.run([*command, "-subj", "/CN=x", "-keyout", key, "-out", cert], check=True, capture_output=True)
    return cert, key


def test_without_a_kubeconfig_there_is_a_next_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(InvalidInput, match="no kubeconfig at .*/none.*surreal cluster up FILE.*--kubeconfig"):
        Api.connect()


def test_a_wrong_context_is_answered_with_the_nearest(tmp_path: Path) -> None:
    write_kubeconfig(tmp_path / "kubeconfig", "http://127.0.0.1:1")
    with pytest.raises(InvalidInput, match="no context 'doubel' in .*did you mean 'double'.*there is: double"):
        Api.connect(str(tmp_path / "kubeconfig"), "doubel")


@pytest.mark.parametrize(
    "text", ["", "just text", "hello: [", "contexts: 3", "{contexts: [{name: x}], current-context: x}"]
)
def test_a_broken_kubeconfig_is_no_traceback(tmp_path: Path, text: str) -> None:
    (tmp_path / "kubeconfig").write_text(text)
    with pytest.raises(InvalidInput, match="kubeconfig"):
        Api.connect(str(tmp_path / "kubeconfig"))


@pytest.mark.parametrize(
    ("program", "why"), [("#!/bin/sh\necho log in first >&2; exit 3", "process returned 3"), ("", "No such file")]
)
def test_a_plugin_for_credentials_that_fails_is_said_at_once(tmp_path: Path, program: str, why: str) -> None:
    plugin = tmp_path / "plugin"
    if program:
        plugin.write_text(program)
        plugin.chmod(0o755)
    path = tmp_path / "kubeconfig"
    write_kubeconfig(path, "http://127.0.0.1:1")
    document = json.loads(path.read_text())
    run = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(plugin), "interactiveMode": "Never"}
    document["users"][0]["user"] = {"exec": run}
    path.write_text(json.dumps(document))
    with pytest.raises(InvalidInput, match=f"cannot use context 'double' of .*{why}"):
        Api.connect(str(path), "double")


def test_the_namespace_is_the_one_given_or_the_contexts(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    write_kubeconfig(path, "http://127.0.0.1:1")
    assert access(str(path)).namespace == NAMESPACE
    assert access(str(path), namespace="mine").namespace == "mine"


def test_several_kubeconfigs_count_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_kubeconfig(tmp_path / "kubeconfig", "http://127.0.0.1:1")
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join([str(tmp_path / "none"), str(tmp_path / "kubeconfig")]))
    assert access().context == "double"


def test_a_pod_without_a_kubeconfig_uses_its_service_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "1")
    monkeypatch.setattr("surreal.provisioner.kube.kubeconfig._SERVICE_ACCOUNT", tmp_path)
    monkeypatch.setattr("kubernetes.config.incluster_config.SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr("kubernetes.config.incluster_config.SERVICE_CERT_FILENAME", str(tmp_path / "ca.crt"))
    with pytest.raises(InvalidInput, match="no service account"):
        access()
    for name in ("token", "ca.crt", "namespace"):
        (tmp_path / name).write_text("own")
    found = access()
    assert (found.context, found.namespace) == (IN_CLUSTER, "own")


def test_a_thousand_actors_come_through_a_server_that_refuses_a_fifth_of_all(tmp_path: Path) -> None:
    with api_server(tmp_path) as server:
        server.mix(0.2, 429, 409, seed=7)
        run = apply.create(server.api(), drawer(actors=1000), server.said.append)
        made = drawer(actors=1000)(run, 1)
        assert server.store.names() == sorted(f"{each['kind']}/{each['metadata']['name']}" for each in made)
        assert server.store.get("Job", NAMESPACE, "toy-actor")["spec"]["parallelism"] == 1000
        server.mix(0.0, seed=7)
        assert len(server.writes()) < 40


def test_one_client_serves_many_threads(tmp_path: Path) -> None:
    with api_server(tmp_path) as server:
        api = server.api()
        threads = [
            threading.Thread(target=api.apply, args=("ConfigMap", config_map(f"x{number}"))) for number in range(50)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(server.store.names("ConfigMap")) == 50


def test_what_the_server_warns_of_is_said_once(tmp_path: Path) -> None:
    with api_server(tmp_path) as server:
        server.warning = 'would violate PodSecurity "restricted:latest"'
        api = server.api()
        api.list("Pod")
        api.list("Pod")
        assert server.said == ['warning: would violate PodSecurity "restricted:latest"']


def test_an_old_version_that_surreal_asks_for_is_no_concern_of_a_person(tmp_path: Path) -> None:
    with api_server(tmp_path) as server:
        for text in (
            "This version is deprecated. Use v1beta2 instead.",
            "kueue.x-k8s.io/v1beta1 Workload is deprecated",
        ):
            server.warning = text
            server.api().list("Pod")
        server.warning = "spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14"
        server.api().list("Pod")
        assert server.said == [f"warning: {server.warning}"]
