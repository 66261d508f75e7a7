"""Who may talk to whom: what processes dial is what NetworkPolicies allow, no more and no less."""

import json
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from surreal.orchestrator.backends.kube.manifests.network import Network, wiring_files
from surreal.orchestrator.backends.kube.names import COMPONENT, CONTROL_PORT, labels, selector
from surreal.orchestrator.plan.model import Plan, PlannedChannel, PlannedRole, Resources
from surreal.protocol.errors import InvalidInput
from surreal.provisioner.kube.kinds import Object
from tests.orchestrator.documents import minimal
from tests.orchestrator.kube.rendered import everything, example, objects, of_kind, planned, pods, queued

Dials = set[tuple[str, str, int]]
"""From role, to role, port."""


def many_kinds() -> Plan:
    """A plan with every kind of channel, replicas that bind, and a channel of a role with itself."""

    def role(name: str, replicas: int, ends_run: bool = False) -> PlannedRole:
        return PlannedRole(
            name=name,
            run="m:f",
            replicas=replicas,
            resources=Resources(cpu=1, memory=2**30),
            pool="cpu",
            expendable=not ends_run,
            ends_run=ends_run,
        )

    def channel(name: str, kind: Any, frm: tuple[str, ...], to: tuple[str, ...], relays: int = 0) -> PlannedChannel:
        return PlannedChannel(name, kind, frm, to, window=4, relays=relays)

    roles = (role("boss", 1, ends_run=True), role("shard", 3), role("asker", 2), role("news-relay", 2))
    channels = (
        channel("moves", "stream", ("asker", "shard"), ("shard",)),
        channel("news", "broadcast", ("boss",), ("shard", "asker"), relays=2),
        channel("answers", "service", ("asker", "boss"), ("shard",)),
    )
    return example().model_copy(update={"roles": roles, "channels": channels, "prometheus_port": 9400})


def several_learners() -> Plan:
    """A plan whose role that ends the run has several processes."""
    return planned(minimal(roles={"learner": {"replicas": 2}}))


def central_inference() -> Plan:
    """A plan whose actors ask two replicas for their actions."""
    algorithm = {"name": "ppo", "config": {"inference": "central"}}
    return planned(minimal(algorithm=algorithm, roles={"inference": {"replicas": 2}}))


PLANS = {
    "example": example,
    "everything": everything,
    "queued": queued,
    "every kind of channel": many_kinds,
    "several learners": several_learners,
    "central inference": central_inference,
}


def dialled(found: list[Object]) -> Dials:
    """What the processes of a run connect to, by their wiring and the rules of `protocol.process`."""
    wirings = {
        key.removesuffix(".json"): json.loads(text)
        for name, each in of_kind("ConfigMap", found).items()
        if "-wiring-" in name
        for key, text in each["data"].items()
    }
    result: Dials = set()
    for role, wiring in wirings.items():
        alone = wiring["serves_control"] and wiring["replicas"][role] == 1
        addresses = set() if alone else {wiring["control"]}
        for channel in wiring["channels"].values():
            reads, writes = role in channel["to"], role in channel["frm"]
            if role == f"{channel['name']}-relay":
                addresses |= set(channel["addresses"])
            elif channel["kind"] == "broadcast" and reads:
                addresses |= set(channel["relays"] or channel["addresses"])
            elif channel["kind"] != "broadcast" and writes:
                addresses |= set(channel["addresses"])
        result |= {(role, *_place(address, wirings)) for address in addresses}
    return result


def _place(address: str, roles: Any) -> tuple[str, int]:
    """The role and port of tcp://NAME-ROLE-INDEX.NAME:PORT, or with the number of a JobSet's Job before the index."""
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    pod, _, name = host.partition(".")
    role = pod.removeprefix(f"{name}-").rstrip("0123456789-")
    assert role in roles, address
    return role, int(port)


def allowed(found: list[Object], ports: set[int]) -> Dials:
    """What the NetworkPolicies of a run let through between its roles, by Kubernetes' rules."""
    policies = [each["spec"] for each in of_kind("NetworkPolicy", found).values()]
    marks = {role: job["metadata"]["labels"] for role, job in _templates(found).items()}
    return {
        (frm, to, port)
        for frm, to, port in product(marks, marks, ports)
        if _lets(policies, "egress", "to", marks[frm], marks[to], port)
        and _lets(policies, "ingress", "from", marks[to], marks[frm], port)
    }


def _lets(policies: list[Any], rules: str, peers: str, pod: Any, peer: Any, port: int) -> bool:
    """Is there a rule of a policy for `pod` that allows `peer` at a TCP port? A pod with a policy is closed but so."""
    mine = [policy for policy in policies if _selects(policy["podSelector"], pod)]
    assert all(set(policy["policyTypes"]) == {"Ingress", "Egress"} for policy in mine) and mine
    return any(
        {"protocol": "TCP", "port": port} in rule["ports"]
        and (
            peers not in rule
            or any("podSelector" in each and _selects(each["podSelector"], peer) for each in rule[peers])
        )
        for policy in mine
        for rule in policy.get(rules, ())
    )


def _selects(selector: Any, marks: Any) -> bool:
    return set(selector["matchLabels"].items()) <= set(marks.items())


def _templates(found: list[Object]) -> dict[str, Object]:
    from tests.orchestrator.kube.rendered import jobs

    return {role: job["template"] for role, job in jobs(found).items()}


@pytest.mark.parametrize("name", PLANS)
def test_policies_allow_exactly_what_processes_dial(name: str) -> None:
    found = objects(PLANS[name]())
    dials = dialled(found)
    ports = {port for _, _, port in dials}
    assert len(dials) >= 6
    assert allowed(found, ports | set(range(CONTROL_PORT - 2, CONTROL_PORT + 20)) | {22, 80, 443, 6443, 8080}) == dials


def test_with_central_inference_actors_dial_the_replicas_and_get_no_weights() -> None:
    found = objects(central_inference())
    dials = {(frm, to) for frm, to, _ in dialled(found)}
    assert ("actor", "inference") in dials
    assert ("inference", "learner") in dials
    wirings = {
        key: json.loads(text)
        for each in of_kind("ConfigMap", found).values()
        for key, text in each["data"].items()
        if key == "actor.json"
    }
    assert wirings["actor.json"]["channels"]["weights"]["to"] == ["inference", "evaluator"]
    assert len(wirings["actor.json"]["channels"]["inference"]["addresses"]) == 2


def test_pods_without_a_role_may_nothing() -> None:
    found = objects(everything())
    marks = labels("cart", "0123abcd")
    closed = [each["spec"] for each in of_kind("NetworkPolicy", found).values()]
    mine = [policy for policy in closed if _selects(policy["podSelector"], marks)]
    assert mine == [
        {"podSelector": {"matchLabels": selector("cart")}, "policyTypes": ["Ingress", "Egress"]},
    ]


def test_everybody_may_ask_the_dns_and_what_is_declared_and_nothing_else_outside() -> None:
    for role, rules in _egress(_unknown_to_the_store()).items():
        # 5353 is where the DNS pods of OpenShift listen
        dns = [{"protocol": each, "port": port} for port in (53, 5353) for each in ("UDP", "TCP")]
        assert rules[0] == {"ports": dns}, role
        assert [rule["to"][0]["ipBlock"]["cidr"] for rule in _outside(rules)] == ["203.0.113.0/24", "2001:db8::/32"]
    for rules in _egress(example()).values():
        assert _outside(rules) == []


def test_a_store_of_which_no_network_is_declared_is_reached_by_https_from_the_pod_that_writes() -> None:
    plan = _unknown_to_the_store().model_copy(update={"egress": ()})
    outside = {role: _outside(rules) for role, rules in _egress(plan).items()}
    ports = [{"protocol": "TCP", "port": 443}]
    assert outside.pop("learner") == [
        {"ports": ports, "to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]},
        {"ports": ports, "to": [{"ipBlock": {"cidr": "::/0"}}]},
    ]
    assert not any(outside.values())


def test_a_pod_that_the_store_knows_by_its_account_may_ask_who_it_is() -> None:
    outside = {role: len(_outside(rules)) for role, rules in _egress(everything()).items()}
    assert outside == {"learner": 2 + 3, "actor": 2, "evaluator": 2, "weights-relay": 2}


def _unknown_to_the_store() -> Plan:
    storage = everything().storage.model_copy(update={"service_account": ""})
    return everything().model_copy(update={"storage": storage})


def _egress(plan: Plan) -> dict[str, list[Any]]:
    found = of_kind("NetworkPolicy", objects(plan)).values()
    return {each["metadata"]["labels"][COMPONENT]: each["spec"]["egress"] for each in found if "egress" in each["spec"]}


def _outside(rules: list[Any]) -> list[Any]:
    return [rule for rule in rules if "ipBlock" in rule.get("to", [{}])[0]]


def test_prometheus_may_read_the_role_that_ends_the_run_from_anywhere_in_the_cluster() -> None:
    found = of_kind("NetworkPolicy", objects(everything()))
    rules = [
        rule for each in found.values() for rule in each["spec"].get("ingress", []) if rule["ports"][0]["port"] == 9400
    ]
    assert rules == [{"ports": [{"protocol": "TCP", "port": 9400}], "from": [{"namespaceSelector": {}}]}]
    assert rules[0] in found["cart-learner"]["spec"]["ingress"]
    (port,) = pods(objects(everything()))["learner"]["containers"][0]["ports"]
    assert port == {"name": "metrics", "containerPort": 9400, "protocol": "TCP"}
    assert not any("ports" in pod["containers"][0] for pod in pods(objects(example())).values())


def test_the_service_names_every_port_of_the_wiring() -> None:
    for plan in (example(), everything(), many_kinds()):
        found = objects(plan)
        service = of_kind("Service", found)[plan.name]["spec"]
        numbers = {each["port"] for each in service["ports"]}
        metrics = {9400} if plan.prometheus_port else set()
        assert numbers == {port for _, _, port in dialled(found)} | {CONTROL_PORT} | metrics
        assert service["clusterIP"] == "None" and service["publishNotReadyAddresses"] is True


def test_every_process_but_one_sends_its_lines_to_the_one_that_ends_the_run() -> None:
    logs = Network(everything()).channels[-1]
    assert (logs.name, logs.frm, logs.to, logs.binds) == (
        "logs",
        ("actor", "evaluator", "weights-relay"),
        ("learner",),
        "learner",
    )
    assert logs.lossy


def test_of_several_processes_that_end_the_run_the_first_hears_of_the_others() -> None:
    plan = several_learners()
    network = Network(plan)
    wired = json.loads(wiring_files(network, has_code=False)["learner"])["channels"]
    assert network.channels[-1].frm == ("learner", "actor", "evaluator")
    assert {name: len(wired[name]["addresses"]) for name in ("logs", "metrics", "experience", "gradients")} == {
        "logs": 1, "metrics": 1, "experience": 2, "gradients": 2,
    }  # fmt: skip
    assert all("gradients" not in channel.name for channel in planned(minimal()).channels)


def test_pods_that_mount_one_claim_run_on_one_node() -> None:
    together = pods(objects(several_learners()))["learner"]["affinity"]["podAffinity"]
    (rule,) = together["requiredDuringSchedulingIgnoredDuringExecution"]
    assert rule["topologyKey"] == "kubernetes.io/hostname"
    assert rule["labelSelector"]["matchLabels"] == selector("cart", "learner")
    apart = planned(minimal(roles={"learner": {"replicas": 2}}, storage={"kind": "url", "url": "s3://runs/here"}))
    for plan in (planned(minimal()), apart):
        assert "podAffinity" not in pods(objects(plan))["learner"].get("affinity", {})


def test_an_algorithm_with_a_channel_of_that_name_is_told() -> None:
    plan = example()
    (first, *rest) = plan.channels
    clash = plan.model_copy(update={"channels": (replace(first, name="logs"), *rest)})
    with pytest.raises(InvalidInput, match="algorithm ppo: has a channel 'logs'"):
        objects(clash)


@pytest.mark.parametrize(
    ("port", "said"),
    [
        (5600, "5600 is the port of 'control' in a cluster"),
        (5602, "5602 is the port of 'weights' in a cluster"),
        (80, "80 is too low for a cluster. Take 1024 or more"),
    ],
)
def test_a_port_for_prometheus_that_cannot_be_is_refused(port: int, said: str) -> None:
    with pytest.raises(InvalidInput, match=f"spec.prometheus.port: {said}"):
        objects(planned(minimal(prometheus={"port": port})))
