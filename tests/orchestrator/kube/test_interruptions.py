"""Whatever interrupts a create, at whatever request: creating again or deleting ends well and orphans nothing."""

import os
import random
import re
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from surreal.orchestrator.backends.kube.lifecycle import create as apply
from surreal.orchestrator.backends.kube.lifecycle import delete as remove
from surreal.orchestrator.backends.kube.lifecycle.create import DeletedError
from surreal.orchestrator.backends.kube.names import CREATED, RUN
from surreal.protocol.errors import NotFound, SurrealError
from surreal.provisioner.kube.client import Api
from surreal.provisioner.kube.errors import TakenError
from surreal.provisioner.kube.kinds import Object
from tests.orchestrator.kube.apiserver import NAMESPACE, Server, api_server
from tests.orchestrator.kube.drawn import NAME, count, drawer


class Killed(BaseException):
    """Nothing of ours catches this, as nothing catches SIGKILL."""


def dies_after(server: Server, requests: int) -> Api:
    """A client whose process dies when so many requests were done, before it has seen the last answer."""
    api = server.api()
    left = requests
    real = api._transport.document

    def document(*arguments: Any) -> Object:
        nonlocal left
        left -= 1
        answer = real(*arguments) if left >= 0 else {}
        if left <= 0:
            raise Killed
        return answer

    api._transport.document = document  # type: ignore[method-assign,assignment]
    return api


def interrupt(server: Server, requests: int) -> bool:
    """A create that dies after so many requests; False if it had fewer."""
    try:
        apply.create(dies_after(server, requests), drawer(), server.said.append)
    except Killed:
        return True
    return False


def check_whole(server: Server) -> None:
    """All objects of exactly one run, once."""
    root = server.store.get("ConfigMap", NAMESPACE, NAME)
    run = root["metadata"]["labels"][RUN]
    assert server.store.names() == sorted(f"{each['kind']}/{each['metadata']['name']}" for each in drawer()(run, 1))
    assert root["metadata"]["annotations"][CREATED]
    owner = server.store.get("Job", NAMESPACE, "toy-learner")["metadata"]["uid"]
    assert [each["uid"] for each in root["metadata"]["ownerReferences"]] == [owner]
    assert "ownerReferences" not in server.store.get("PersistentVolumeClaim", NAMESPACE, NAME)["metadata"]


def test_creating_again_after_a_death_at_any_request_ends_with_each_object_once(tmp_path: Path) -> None:
    requests = 1
    while True:
        with api_server(tmp_path) as server:
            died = interrupt(server, requests)
            begun = server.store.names("ConfigMap")
            sealed = (
                bool(begun) and CREATED in server.store.get("ConfigMap", NAMESPACE, NAME)["metadata"]["annotations"]
            )
            if died and not sealed:
                jobs = {key: each["metadata"]["uid"] for key, each in server.store.objects.items()}
                apply.create(server.api(), drawer(), server.said.append)
                after = {key: each["metadata"]["uid"] for key, each in server.store.objects.items()}
                assert jobs.items() <= after.items(), "what was there was made anew"
                assert not begun or any("found" in line for line in server.said)
            check_whole(server)
            if not died:
                break
        requests += 1
    assert requests > 20


def test_deleting_after_a_death_at_any_request_leaves_nothing(tmp_path: Path) -> None:
    requests = 1
    while True:
        with api_server(tmp_path) as server:
            died = interrupt(server, requests)
            if server.store.names():
                assert remove.delete(server.api(), NAME, server.said.append) >= 1
            assert server.store.names() == []
            with pytest.raises(NotFound):
                remove.delete(server.api(), NAME, server.said.append)
            if not died:
                break
        requests += 1


def test_another_plan_does_not_go_on_with_what_was_interrupted(tmp_path: Path) -> None:
    with api_server(tmp_path) as server:
        assert interrupt(server, 20)
        before = server.store.names()
        with pytest.raises(TakenError, match="creation was interrupted and which has another plan.*surreal delete toy"):
            apply.create(server.api(), drawer(digest="other"), server.said.append)
        assert server.store.names() == before


def test_resuming_again_after_a_death_at_any_request_ends_with_one_new_attempt(tmp_path: Path) -> None:
    requests = 1
    while True:
        with api_server(tmp_path, runs_jobs=True) as server:
            apply.create(server.api(), drawer(), server.said.append)
            remove.stop(server.api(), NAME, server.said.append)
            try:
                apply.resume(dies_after(server, requests), NAME, drawer(), server.said.append)
                died = False
            except Killed:
                died = True
            root = server.store.get("ConfigMap", NAMESPACE, NAME)["metadata"]
            if died and not (CREATED in root["annotations"] and root["annotations"]["surreal.dev/attempt"] == "2"):
                apply.resume(server.api(), NAME, drawer(), server.said.append)
            learner = server.store.get("Job", NAMESPACE, "toy-learner")
            root = server.store.get("ConfigMap", NAMESPACE, NAME)["metadata"]
            assert root["annotations"]["surreal.dev/attempt"] == "2"
            assert learner["spec"]["template"]["metadata"]["annotations"]["surreal.dev/attempt"] == "2"
            assert [each["uid"] for each in root["ownerReferences"]] == [learner["metadata"]["uid"]]
            assert len(server.store.names("Job")) == 3
            if not died:
                break
        requests += 1


def test_a_lost_answer_at_any_request_of_create_neither_doubles_nor_loses_an_object(tmp_path: Path) -> None:
    requests = 27
    for request in range(1, requests + 1):
        with api_server(tmp_path) as server:
            api = server.api()
            # Silence of a server that has never answered is no outage, and the first eight questions are asked at once.
            assert api.find("ConfigMap", NAME) is None
            server.fault("lost", nth=request)
            run = apply.create(api, drawer(), server.said.append)
            check_whole(server)
            assert server.store.get("ConfigMap", NAMESPACE, NAME)["metadata"]["labels"][RUN] == run
            assert len([line for line in server.said if "retrying" in line]) == 1
            assert len(server.requests) <= requests + 3


ROOT = Path(__file__).parents[3]
SCRIPT = """
import sys
from surreal.orchestrator.backends.kube.lifecycle import create as apply
from surreal.provisioner.kube.client import Api
from tests.orchestrator.kube.drawn import drawer
apply.create(Api.connect(sys.argv[1]), drawer(), print)
"""


def test_a_process_that_is_killed_while_it_creates_leaves_what_the_next_one_finishes(tmp_path: Path) -> None:
    with api_server(tmp_path) as server:
        server.fault("silence", verb="PATCH", kind="NetworkPolicy", nth=2)
        command = [sys.executable, "-c", SCRIPT, str(server.kubeconfig)]
        with subprocess.Popen(command, cwd=ROOT) as process:
            assert server.silent.wait(120)
            process.send_signal(signal.SIGKILL)
        assert "Job" not in {name.partition("/")[0] for name in server.store.names()}
        apply.create(server.api(), drawer(), server.said.append)
        check_whole(server)
        # The policies are made at the same time: how many of them were there is chance.
        assert any(re.fullmatch(r"found \d+ of 13 objects; making the other \d+", line) for line in server.said)


@pytest.mark.parametrize("times", [10, pytest.param(200, marks=pytest.mark.slow)])
def test_deletes_among_creates_orphan_nothing(tmp_path: Path, times: int) -> None:
    seed = int.from_bytes(os.urandom(4))
    print(f"seed {seed}")
    dice = random.Random(seed)
    with api_server(tmp_path, runs_jobs=True) as server:
        for _ in range(times):
            interleave(server, dice)
            assert server.store.names() == []


def interleave(server: Server, dice: random.Random) -> None:
    """One create and one delete at the same time; then what is left is deleted."""
    begin = dice.randrange(1, 30)
    reached = threading.Event()
    api = server.api()
    real = api._transport.document

    def document(*arguments: Any) -> Object:
        nonlocal begin
        begin -= 1
        if begin == 0:
            reached.set()
        return real(*arguments)

    api._transport.document = document  # type: ignore[method-assign,assignment]
    outcomes: list[str] = []

    def make() -> None:
        try:
            apply.create(api, drawer(), server.said.append)
            outcomes.append("created")
        except (DeletedError, NotFound, TakenError):
            outcomes.append("deleted")
        finally:
            reached.set()

    thread = threading.Thread(target=make)
    thread.start()
    reached.wait()
    with suppress(NotFound):
        remove.delete(server.api(), NAME, server.said.append)
    thread.join()
    if outcomes == ["created"] and server.store.names():
        remove.delete(server.api(), NAME, server.said.append)
    assert outcomes, "create ended with another error"


def test_of_two_who_create_the_same_name_at_once_one_has_it(tmp_path: Path) -> None:
    with api_server(tmp_path) as server:
        outcomes: list[str] = []

        def make(digest: str) -> None:
            try:
                apply.create(server.api(), drawer(digest=digest), server.said.append)
                outcomes.append(digest)
            except SurrealError as error:
                outcomes.append(str(error))

        threads = [threading.Thread(target=make, args=(digest,)) for digest in ("d1", "d2")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        winner, loser = sorted(outcomes, key=len)
        assert winner in ("d1", "d2")
        assert "is used by experiment" in loser
        check_whole(server)


@pytest.mark.parametrize("requests", [count(), count() + 1, 1000])
def test_a_create_that_looked_before_another_began_says_whose_the_name_is(tmp_path: Path, requests: int) -> None:
    with api_server(tmp_path) as server:
        late = server.api()
        real = late._transport.document

        def document(*arguments: Any) -> Object:
            late._transport.document = real  # type: ignore[method-assign]
            try:
                answer = real(*arguments)
            finally:  # it says that there is none by an error
                interrupt(server, requests)
            return answer

        late._transport.document = document  # type: ignore[method-assign,assignment]
        with pytest.raises(TakenError, match="name 'toy' is used by experiment"):
            apply.create(late, drawer(digest="d2"), server.said.append)
