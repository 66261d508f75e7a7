"""One sentence for each reason for which a role can wait, from what a real cluster said, and from what others say."""

import json
import math
import random
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surreal.orchestrator.backends.kube.names import IGNORED
from surreal.orchestrator.backends.kube.status.causes import images, scheduling, volumes
from surreal.orchestrator.backends.kube.status.causes import pod_creation as refusals
from surreal.orchestrator.backends.kube.status.explain import reasons
from surreal.orchestrator.backends.kube.status.snapshot import Event
from surreal.orchestrator.backends.kube.status.status import status_of
from surreal.orchestrator.backends.kube.status.termination import ended_container, how_it_ended
from surreal.orchestrator.experiment.pod_model import default_image
from surreal.orchestrator.plan.model import Plan
from surreal.provisioner.kube.kinds import Object
from surreal.provisioner.kube.objects import moment
from tests.orchestrator.kube.recordings import GIB, plan, recorded, snapshot

ONE = plan(actors=1)
IMAGE = "check spec.image (or spec.roles.learner.image)"
STORAGE = "set spec.storage.className, or spec.storage.kind: emptyDir"
RESOURCES = "wait, lower spec.roles.{}.resources or replicas, or add machines"
SECURITY = (
    'Pod Security restricted:latest refuses its pods: allowPrivilegeEscalation != false (container "worker" must set '
    "securityContext.allowPrivilegeEscalation=false), unrestricted capabilities"
)

SAID: list[tuple[str, Plan, str, str]] = [
    # recording, plan, role, its sentence or how that begins (...)
    ("image-not-found", ONE, "learner", f"cannot pull registry.local/team/missing:1.0: not found; {IMAGE}"),
    ("image-denied", ONE, "learner", "cannot pull registry.local/private/surreal:1.0: unexpected status from HEAD..."),
    (
        "image-no-registry",
        ONE,
        "learner",
        "cannot pull registry.invalid/team/surreal:1.0: dial tcp: lookup registry.invalid on 10.96.0.10:53: "
        f"no such host; {IMAGE}, and whether the nodes reach the registry",
    ),
    (
        "image-never",
        ONE,
        "learner",
        "node node-1 does not have surreal:9.9.9 and imagePullPolicy is Never: load the image, or change the policy",
    ),
    (
        "image-name",
        ONE,
        "learner",
        "'Team/Surreal:1.0' is no name of an image: correct spec.image (or spec.roles.learner.image)",
    ),
    (
        "cpu",
        plan(cpu=100),
        "learner",
        f"0/1 nodes can take it: 1 lacks cpu; each process asks cpu 100; {RESOURCES.format('learner')}",
    ),
    (
        "memory",
        plan(actors=3, memory=15 * GIB),
        "actor",
        "2 of 3: 0/1 nodes can take it: 1 lacks memory; each process asks memory 15.0 GiB; "
        + RESOURCES.format("actor"),
    ),
    (
        "gpu",
        plan(gpu=1),
        "learner",
        "0/1 nodes have nvidia.com/gpu: 1 free; wait for one, add machines with GPUs, "
        "or set spec.roles.learner.resources.gpu: 0",
    ),
    (
        "selector",
        ONE,
        "learner",
        "0/1 nodes can take it: 1 is not of pool gpus; set spec.roles.learner.pool to one of `surreal pools --on kube`",
    ),
    ("gated", ONE, "learner", "held back by scheduling gates: Scheduling is blocked due to non-empty scheduling..."),
    ("scheduler-none", ONE, "learner", "the scheduler has not looked at its pod for over 1 min"),
    ("claim-missing", ONE, "learner", "its claim toy is missing: surreal delete toy, then create it again"),
    (
        "volume-claim-missing",
        ONE,
        "actor",
        "the claim datasets of spec.roles.actor.volumes is missing: kubectl -n rl get pvc",
    ),
    ("claim-no-class", ONE, "learner", f"the cluster has no default StorageClass for its claim: {STORAGE}"),
    (
        "claim-class-missing",
        ONE,
        "learner",
        f"no StorageClass fast: kubectl get storageclasses, then {STORAGE}",
    ),
    (
        "claim-too-large",
        ONE,
        "learner",
        "0/1 nodes can take it: 1 didn't find available persistent volumes to bind; no volume is as large or can be "
        "made there: lower spec.storage.size, or set spec.storage.className",
    ),
    (
        "quota",
        plan(actors=4),
        "actor",
        "2 of 4: quota team: each asks requests.cpu 10m more, 20m of 25m used; "
        "have it raised, or lower spec.roles.actor.replicas or resources",
    ),
    (
        "quota-pods",
        ONE,
        "learner",
        "quota team: each asks pods 1 more, 0 of 0 used; "
        "have it raised, or lower spec.roles.learner.replicas or resources",
    ),
    (
        "quota-must",
        ONE,
        "learner",
        "quota team wants limits.cpu for: worker of every pod: a LimitRange with defaults in the namespace helps",
    ),
    (
        "limit-range",
        ONE,
        "learner",
        "a LimitRange of the namespace refuses its pods: maximum memory usage per Container is 32Mi, but limit is "
        "64Mi; change spec.roles.learner.resources",
    ),
    ("pod-security", ONE, "learner", f"{SECURITY}..."),
    (
        "priority",
        ONE,
        "learner",
        "no PriorityClass urgent: kubectl get priorityclasses, then spec.roles.learner.priorityClassName",
    ),
    (
        "service-account",
        ONE,
        "learner",
        'the API server refuses its pods: error looking up service account rl/gone: serviceaccount "gone" not found',
    ),
    (
        "config-map",
        ONE,
        "learner",
        "the ConfigMap toy-wiring-0a1b2c is missing: create it, or correct the key that names it",
    ),
    ("secret", ONE, "actor", "the Secret toy-keys-0a1b2c3d is missing: create it, or correct the key that names it"),
    ("config-env", ONE, "learner", "the Secret credentials is missing: create it, or correct the key that names it"),
    (
        "oom",
        plan(memory=2 * GIB),
        "learner",
        "OOMKilled: limit 2.0 GiB; raise spec.roles.learner.resources.memory; restarts after the 3rd failure",
    ),
    ("crash", plan(), "actor", "failed (exit 1): ZeroDivisionError: division by zero; restarts after the 3rd failure"),
    ("crash-traceback", ONE, "actor", "failed (exit 1): ValueError: bad; restarts after the 3rd failure"),
    ("killed", ONE, "learner", "killed (signal 9); restarts after the 3rd failure"),
    (
        "init-fails",
        ONE,
        "learner",
        "init container code failed (exit 1): code.tar.gz: sha256 differs; restarts after the 3rd failure",
    ),
    ("start-error", ONE, "learner", "its program did not start: failed to create containerd task: ..."),
    ("fatal", ONE, "learner", "cannot go on (exit 3): no environment NoSuch-v0 (did you mean Ant-v5?)"),
    (
        "preempted",
        ONE,
        "learner",
        "preempted after its checkpoint (exit 4); another pod comes, and nothing is counted against it",
    ),
    ("given-up", plan(), "actor", "1 of 2: failed (exit 1): no luck; given up after the 1st failure"),
    ("evaluator-given-up", ONE, "evaluator", "failed (exit 1): last line; given up after the 1st failure"),
    ("never-ends", plan(), "actor", "1 of 2: its pod is ending; its successor comes when it is gone"),
]


@pytest.mark.parametrize(("case", "planned", "role", "sentence"), SAID, ids=[row[0] for row in SAID])
def test_a_role_that_waits_says_why_in_one_sentence(case: str, planned: Plan, role: str, sentence: str) -> None:
    found = reasons(snapshot(case, planned))
    said = found.pop(role)
    assert said.startswith(sentence.removesuffix("...")) if sentence.endswith("...") else said == sentence
    assert "\n" not in said and not found, "nothing else waits"


def test_every_recording_is_looked_at() -> None:
    fine = {"running", "succeeded", "suspended", "evicted", "deleted-pod"}
    told = {"fatal-actor", "learner-given-up", "never-ends-at-once", "evicted-at-once"}
    assert set(recorded()) == {row[0] for row in SAID} | fine | told
    assert [case for case in fine if reasons(snapshot(case))] == []


def test_pods_that_are_taken_away_are_no_failures() -> None:
    said = "evicted, as when a node is drained; its successor comes when it is gone"
    assert reasons(snapshot("evicted-at-once")) == {"actor": said, "learner": said}


def test_the_reason_of_a_crash_stays_while_it_may_crash_again() -> None:
    seen = snapshot("crash")
    last = seen.pods_of("actor")[1][-1]
    about = {**last["metadata"], "name": "toy-actor-1-again", "creationTimestamp": seen.taken.isoformat()}
    again = {**last, "metadata": about, "status": {"phase": "Running"}}
    restarted = replace(seen, pods=(*seen.pods, again))
    said = {"actor": "failed (exit 1): ZeroDivisionError: division by zero; restarts after the 3rd failure"}
    assert reasons(restarted) == said
    well = reasons(replace(restarted, taken=seen.taken + timedelta(minutes=2)))["actor"]
    assert well == f"1 of 2: {said['actor']}"


def test_a_thousand_waiting_processes_are_one_sentence() -> None:
    seen = snapshot("memory", plan(actors=1000, memory=15 * GIB))
    waiting = next(pod for pod in seen.pods if pod["status"]["phase"] == "Pending")
    key = "batch.kubernetes.io/job-completion-index"

    def pod(index: int) -> Object:
        about = {**waiting["metadata"], "name": f"toy-actor-{index}-abcde", "annotations": {key: str(index)}}
        return {**waiting, "metadata": about}

    many = replace(seen, pods=tuple(map(pod, range(1000))))
    assert reasons(many)["actor"].startswith("0/1 nodes can take it: 1 lacks memory; each process asks memory 15.0 GiB")


NODES = "0/8 nodes are available: 1 node(s) had untolerated taint {team: ml}, 2 node(s) didn't match Pod's node "
NODES += "affinity/selector, 4 Insufficient cpu, 1 node(s) were unschedulable."
REST = " preemption: 0/8 nodes are available: 8 Preemption is not helpful for scheduling."
OLD = "0/3 nodes are available: 3 node(s) had taint {node.kubernetes.io/not-ready: }, that the pod didn't tolerate."


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        (
            NODES + REST,
            "0/8 nodes can take it: 4 lack cpu, 2 are not of pool gpus, 1 has the taint team=ml, 1 is cordoned; "
            "each process asks cpu 1; " + RESOURCES.format("actor"),
        ),
        (
            NODES + " no new claims to deallocate," + REST,
            "0/8 nodes can take it: 4 lack cpu, 2 are not of pool gpus, 1 has the taint team=ml, 1 is cordoned; "
            "each process asks cpu 1; " + RESOURCES.format("actor"),
        ),
        (
            OLD,
            "0/3 nodes can take it: 3 have the taint node.kubernetes.io/not-ready; "
            "set spec.roles.actor.pool to one of `surreal pools --on kube`",
        ),
        (
            "0/2 nodes are available: 2 node(s) didn't match pod topology spread constraints.",
            "0/2 nodes can take it: 2 didn't match pod topology spread constraints; "
            "add machines, or set spec.roles.actor.spread: none",
        ),
        (
            "0/2 nodes are available: 2 node(s) had volume node affinity conflict.",
            "0/2 nodes can take it: 2 had volume node affinity conflict; the claim's volume is in another zone or on "
            "another node: let the role run there, or set spec.storage",
        ),
        ("no nodes available to schedule pods", "the cluster has no nodes: surreal pools --on kube"),
        ("running PreBind plugin: something else", "running PreBind plugin: something else"),
        ("0/4 nodes are available: who knows.", "0/4 nodes can take it: who knows."),
    ],
)
def test_the_schedulers_message_becomes_numbers_and_a_way_out(message: str, sentence: str) -> None:
    assert scheduling.unschedulable(message, plan().role("actor"), "actor") == sentence


def event(reason: str, text: str, kind: str = "Pod", name: str = "") -> Event:
    return Event(kind, name, reason, text, snapshot("cpu").taken, 1, True)


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        (
            event("TriggeredScaleUp", "pod triggered scale-up: [{gce/zones/a/pool-1 1->4 (max: 10)}]"),
            "the autoscaler adds machines (1 to 4 of at most 10)",
        ),
        (
            event(
                "NotTriggerScaleUp",
                "pod didn't trigger scale-up: 3 max node group size reached, 1 node(s) didn't match",
            ),
            "the autoscaler adds none: 3 max node group size reached, 1 node(s) didn't match",
        ),
        (
            event("Nominated", "Pod should schedule on: nodeclaim/default-x7k2p"),
            "a machine is on its way: nodeclaim/default-x7k2p",
        ),
        (event("FailedScheduling", "0/1 nodes are available"), ""),
    ],
)
def test_the_autoscaler_is_heard(told: Event, sentence: str) -> None:
    assert scheduling.autoscaler([told]) == sentence
    seen = snapshot("cpu", plan(cpu=100))
    name = seen.pods[0]["metadata"]["name"]
    heard = reasons(replace(seen, events=(*seen.events, replace(told, name=name))))["learner"]
    assert heard.endswith(f"; {sentence}" if sentence else "add machines")


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        (
            'Error creating: pods "toy-learner-0-x" is forbidden: exceeded quota: gpus, requested: '
            "requests.nvidia.com/gpu=4,pods=1, used: requests.nvidia.com/gpu=2,pods=9, limited: "
            "requests.nvidia.com/gpu=4,pods=9",
            "quota gpus: each asks requests.nvidia.com/gpu 4 more, 2 of 4 used; pods 1 more, 9 of 9 used; "
            "have it raised, or lower spec.roles.learner.replicas or resources",
        ),
        (
            'Error creating: admission webhook "validate.kyverno.svc-fail" denied the request: \n\nimages must be '
            "signed\n",
            "the admission webhook validate.kyverno.svc-fail refuses its pods: images must be signed",
        ),
        ("Error creating: ", "the API server refuses its pods: without a reason"),
    ],
)
def test_a_refused_pod_is_explained(message: str, sentence: str) -> None:
    assert refusals.refusal(message, "learner") == sentence


def test_an_old_refusal_is_not_repeated_once_all_pods_came() -> None:
    seen = snapshot("quota", plan(actors=4))
    newer = {"creationTimestamp": (seen.taken + timedelta(seconds=5)).isoformat()}
    crash = snapshot("crash").pods_of("actor")[1][-1]
    late = {**crash, "metadata": {**crash["metadata"], **newer}}
    assert "quota" not in reasons(replace(seen, pods=(*seen.pods, late)))["actor"]


def test_volumes_that_do_not_attach_are_named() -> None:
    multi = event("FailedAttachVolume", 'Multi-Attach error for volume "pvc-1" Volume is already used by pod(s) toy-x')
    assert volumes.mount_reason([multi]) == (
        "volume pvc-1 is still attached to another node: it waits for the pod there to be gone"
    )
    slow = event("FailedMount", 'MountVolume.SetUp failed for volume "nfs" : mount failed: exit status 32')
    assert volumes.mount_reason([slow]) == "volume nfs cannot be mounted: mount failed: exit status 32"
    network = event("FailedCreatePodSandBox", "Failed to create pod sandbox: rpc error: code = Unknown desc = no IP")
    assert volumes.mount_reason([network]) == "its node cannot start pods: no IP"


def test_our_own_image_is_built_or_loaded() -> None:
    said = images.cannot_pull(default_image(), "ErrImagePull", "pull access denied", "n", "actor")
    assert said.endswith("build or load it (surreal image build), or set spec.image (or spec.roles.actor.image)")
    gpu = images.cannot_pull(default_image(cuda=True), "ErrImagePull", "pull access denied", "n", "learner")
    assert "build or load it (surreal image build --torch cuda), or set spec.image" in gpu


def test_an_image_that_takes_its_time_is_said_after_half_a_minute() -> None:
    seen = snapshot("image-not-found")
    pod = seen.pods[0]
    status = {**pod["status"], "containerStatuses": [{"name": "worker", "state": {"waiting": {"reason": "X"}}}]}
    waiting = replace(seen, pods=({**pod, "status": status},))
    assert reasons(waiting)["learner"].startswith("node node-1 has been pulling its image for ")
    assert reasons(replace(waiting, taken=seen.taken - timedelta(seconds=40))) == {}


def test_a_failed_pull_is_said_before_the_kubelet_writes_it_into_the_pod() -> None:
    seen = snapshot("image-not-found")
    pod = seen.pods[0]
    (worker,) = pod["status"]["containerStatuses"]
    early = {**worker, "state": {"waiting": {"reason": "ContainerCreating"}}}
    told = replace(seen, pods=({**pod, "status": {**pod["status"], "containerStatuses": [early]}},))
    assert reasons(told) == {"learner": f"cannot pull {worker['image']}: not found; {IMAGE}"} == reasons(seen)
    # another pull has begun, and nothing is known of it
    again = Event("Pod", pod["metadata"]["name"], "Pulling", "Pulling image", seen.taken, 2, False)
    assert "cannot pull" not in reasons(replace(told, events=(*seen.events, again))).get("learner", "")


def test_a_pod_that_does_not_end_and_a_node_that_does_not_answer_are_named() -> None:
    seen = snapshot("never-ends")
    late = reasons(replace(seen, taken=seen.taken + timedelta(minutes=5)))["actor"]
    assert (
        "should have ended over 2 min ago" in late
        and "kubectl -n rl delete pod toy-actor-0-" in late
        and "--force" in late
    )
    running = snapshot("running")
    pod = next(each for each in running.pods if "learner" in each["metadata"]["name"])
    conditions = [
        {**each, "status": "False"} if each["type"] == "Ready" else each for each in pod["status"]["conditions"]
    ]
    silent = {**pod, "status": {**pod["status"], "conditions": conditions}}
    said = reasons(replace(running, pods=(silent,)))["learner"]
    assert said == "node node-1 does not answer; the pod is replaced when the cluster gives it up"


def queued(workload: Object | None, position: int | None = None) -> str:
    jobset = {"kind": "JobSet", "metadata": {"name": "toy"}, "spec": {"suspend": True}}
    planned = plan().model_copy(update={"queue": "research"})
    seen = snapshot("suspended", planned, pods=(), jobset=jobset, workload=workload, position=position)
    assert status_of(seen).state == "pending"
    said = reasons(seen)
    assert set(said) == {"actor", "learner", "evaluator"}
    return said["actor"]


def test_a_queue_says_what_it_waits_for() -> None:
    def workload(*conditions: Object) -> Object:
        return {"kind": "Workload", "spec": {"active": True}, "status": {"conditions": list(conditions)}}

    full = {
        "type": "QuotaReserved",
        "status": "False",
        "reason": "Pending",
        "message": "couldn't assign flavors to pod set actor: insufficient unused quota for cpu in flavor default, 2 "
        "more needed",
    }
    own = "insufficient unused quota for cpu in flavor default, 2 more needed"
    assert queued(workload(full), 3) == f"waits in queue research behind 3 others: {own}"
    others = {**full, "message": full["message"].replace("actor", "learner") + f"; {full['message']}"}
    assert queued(workload(others)) == f"waits in queue research: {own}"
    of_others = {**full, "message": full["message"].replace("actor", "learner")}
    assert queued(workload(of_others)) == "waits in queue research: no room for learner"
    absent = {**full, "reason": "Inadmissible", "message": "LocalQueue research doesn't exist"}
    assert queued(workload(absent)) == "waits in queue research: LocalQueue research doesn't exist"
    uncovered = {
        **full,
        "message": "couldn't assign flavors to pod set actor: resource ephemeral-storage unavailable in ClusterQueue",
    }
    assert queued(workload(uncovered)).endswith(
        "; have its ClusterQueue cover ephemeral-storage, which the pods ask for"
    )
    reserved = {"type": "QuotaReserved", "status": "True", "message": "Quota reserved"}
    assert queued(workload(reserved)) == "waits in queue research: quota is reserved, its admission checks are not done"
    back = {"type": "Evicted", "status": "True", "message": "Preempted to accommodate a workload"}
    assert queued(workload(back)) == "waits in queue research: put back, Preempted to accommodate a workload"
    assert "Kueue has made no Workload for it" in queued(None)


FORMS = [
    "0/{} nodes are available: {}.",
    "exceeded quota: {}, requested: {}, used: {}, limited: {}",
    'Back-off pulling image "x": ErrImagePull: {}',
    'persistentvolumeclaim "{}" not found',
    '{{"exit": "FAILED", "reason": "{}", "progress": {{"steps": {}}}}}',
    "[" * 4000,
    "{}",
]
TEXTS = ["", "\n", "9" * 400, "NaN", "1e999", "2024-13-45T00:00:00Z", "{x: y}, 3 z", "\x00\u2028", "-1", "é" * 5000]
JUNK: list[Any] = [None, True, -1, 10**400, math.nan, [], [None], {}, {"type": []}, [{"state": "x"}], "x"]


def message(chance: random.Random) -> str:
    form = chance.choice(FORMS)
    return form.format(*(chance.choice(TEXTS) for _ in range(form.count("{}"))))


def spoilt(thing: Any, chance: random.Random) -> Any:
    """The same with some parts replaced by junk, and some texts by messages."""
    choice = chance.random()
    if choice < 0.03:
        return chance.choice(JUNK)
    if isinstance(thing, dict):
        return {key: spoilt(value, chance) for key, value in thing.items()}
    if isinstance(thing, list):
        return [spoilt(value, chance) for value in thing]
    return message(chance) if choice < 0.15 and isinstance(thing, str) else thing


@settings(max_examples=300, deadline=None)
@given(st.integers(), st.sampled_from(recorded()))
def test_whatever_stands_in_conditions_and_messages_nothing_raises(seed: int, case: str) -> None:
    chance, seen = random.Random(seed), snapshot(case)
    spoils = replace(
        seen,
        pods=tuple(spoilt(dict(pod), chance) or {} for pod in seen.pods),
        jobs=tuple({**job, "status": spoilt(job["status"], chance)} for job in seen.jobs),
        claim=spoilt(seen.claim, chance),
        events=tuple(replace(each, text=message(chance)) for each in seen.events),
    )
    for sentence in reasons(spoils).values():
        assert sentence.isprintable()
    json.dumps(status_of(spoils).document(), allow_nan=False)


def ended(code: int, message: str = "", **limits: str) -> Object:
    """A failed pod of the learner."""
    terminated = {"exitCode": code, "reason": "OOMKilled" if limits else "Error", "message": message}
    status = {"name": "worker", "image": "me/surreal:1", "state": {"terminated": terminated}}
    return {
        "kind": "Pod",
        "metadata": {"name": "toy-learner-0"},
        "spec": {"nodeName": "n1", "containers": [{"name": "worker", "resources": {"limits": limits}}]},
        "status": {"phase": "Failed", "containerStatuses": [status]},
    }


def test_an_exit_code_beyond_the_signals_is_no_signal() -> None:
    assert how_it_ended(ended(255), None, "learner") == "failed (exit 255)"
    assert how_it_ended(ended(137), None, "learner") == "killed (signal 9)"


def test_an_image_of_another_architecture_is_named_with_the_node() -> None:
    said = how_it_ended(ended(255, "exec /usr/bin/python3: exec format error"), None, "learner")
    assert said.startswith("its image me/surreal:1 is of another processor architecture than node n1: build it with")


def test_the_memory_limit_is_the_containers_own_which_admission_may_have_lowered() -> None:
    said = how_it_ended(ended(137, memory="40Mi"), plan(memory=2 * GIB).role("learner"), "learner")
    assert said == "OOMKilled: limit 40 MiB; raise spec.roles.learner.resources.memory"


def test_a_pod_that_kubernetes_holds_back_for_minutes_is_said_to_be() -> None:
    seen = snapshot("crash", plan())
    pods = []
    for pod in seen.pods:
        about = {**pod["metadata"], "annotations": {**pod["metadata"]["annotations"], IGNORED: "5"}}
        pods.append({**pod, "metadata": about})
    ends = [moment(ended_container(pod), "state", "terminated", "finishedAt") for pod in pods]
    last = max(at for at in ends if at)
    said = reasons(replace(seen, pods=tuple(pods), taken=last + timedelta(seconds=60)))["actor"]
    assert "Kubernetes waits over 10 min before the next pod (surreal stop toy, then resume" in said
    assert "next pod" not in reasons(replace(seen, taken=last + timedelta(hours=1)))["actor"]
