"""Experiment files: what is filled in, and how every mistake is said."""

from pathlib import Path
from typing import Any

import pytest

from surreal.algorithms.ppo.config import PPOConfig
from surreal.orchestrator.experiment.experiment import Experiment
from surreal.orchestrator.experiment.load import load_experiment
from surreal.protocol.errors import ExitCode, InvalidInput
from tests.orchestrator.documents import VALID, load_text, minimal, spoiled


def refusal(folder: Path, text: str | bytes, *overrides: str) -> list[str]:
    """The lines of the error that loading `text` ends with, without the folder's name."""
    with pytest.raises(InvalidInput) as caught:
        load_text(folder, text, *overrides)
    assert caught.value.exit_code == ExitCode.INVALID
    return str(caught.value).replace(f"{folder}/", "").splitlines()


def test_what_the_file_leaves_out_has_these_defaults() -> None:
    experiment = Experiment.from_data(minimal())
    role: dict[str, Any] = {
        "pool": None,
        "spot": None,
        "env": {},
        "image": None,
        "imagePullPolicy": None,
        "priorityClassName": None,
        "spread": "none",
        "volumes": [],
    }
    gpu = {"gpu": 0, "gpuKind": None, "gpuResource": "nvidia.com/gpu"}
    assert experiment.to_data() == {
        "apiVersion": "surreal.dev/v1alpha1",
        "kind": "Experiment",
        "metadata": {"name": "cart", "labels": {}},
        "spec": {
            "env": {
                "id": "CartPole-v1",
                "copies": 8,
                "options": {},
                "wrappers": [],
                "evaluation": {"options": {}, "wrappers": None},
                "actionScaling": "auto",
                "stepping": "auto",
            },
            "algorithm": {"name": "ppo", "config": PPOConfig().model_dump(mode="json")},
            "roles": {
                "learner": {"replicas": 1, "resources": {"cpu": 1.0, "memory": "2Gi", **gpu}, **role},
                "actor": {"replicas": 2, "resources": {"cpu": 1.0, "memory": "1Gi", **gpu}, **role},
                "evaluator": {"replicas": 1, "resources": {"cpu": 0.5, "memory": "1Gi", **gpu}, **role},
            },
            "channels": {"weights": {"relays": 0, "dtype": None}},
            "seed": 1,
            "checkpoints": {"everySeconds": 60.0, "keep": 3},
            "hangSeconds": 300.0,
            "prometheus": None,
            "track": {"wandb": None, "mlflow": None, "tensorboard": None},
            "record": None,
            "limits": {"hours": None, "cost": None, "noProgressMinutes": None},
            "notify": {"command": [], "url": None, "noProgressMinutes": 10.0},
            "code": None,
            "image": None,
            "imagePullPolicy": "IfNotPresent",
            "imagePullSecrets": [],
            "storage": {
                "kind": "auto",
                "size": "10Gi",
                "className": None,
                "url": None,
                "serviceAccountName": None,
            },
            "pods": {
                "labels": {},
                "annotations": {},
                "runtimeClassName": None,
                "schedulerName": None,
                "securityContext": "fixed",
                "kueuePriorityClass": None,
            },
            "queue": None,
            "ttlSecondsAfterFinished": 86400,
            "egress": [],
        },
    }


def test_what_the_file_says_is_kept_and_the_rest_of_a_role_filled_in(tmp_path: Path) -> None:
    text = spoiled("resources: {cpu: 1, memory: 1Gi}", "resources: {cpu: 500m}")
    actor = load_text(tmp_path, text).spec.roles["actor"]
    assert (actor.replicas, actor.resources.cpu, actor.resources.memory) == (2, 0.5, 2**30)


def test_a_resolved_experiment_loads_as_the_same(tmp_path: Path) -> None:
    experiment = load_text(tmp_path, VALID)
    again = load_text(tmp_path, experiment.to_yaml())
    assert again == experiment
    assert again.to_yaml() == experiment.to_yaml()


MISTAKES = [
    ("  seed: 1", "  prometheus: {port: 0}", "16: spec.prometheus.port: must be 1 or more, not 0"),
    (
        "env:\n    id: HalfCheetah-v5",
        "env: HalfCheetah-v5",
        "6: spec.env: must be a mapping (key: value), not 'HalfCheetah-v5'; write {id: HalfCheetah-v5}",
    ),
    (
        "metadata:\n  name: cheetah-ppo",
        "metadata: mine",
        "3: metadata: must be a mapping (key: value), not 'mine'; write",
    ),
    ("  seed: 1", "  prometheus: 9400", "16: spec.prometheus: must be a mapping (key: value), not 9400"),
    ("  seed: 1", "  image: 'a b'", "16: spec.image: must be an image such as registry.example/team/surreal:1.0"),
    (
        "  seed: 1",
        "  imagePullPolicy: Allways",
        "16: spec.imagePullPolicy: must be 'IfNotPresent', 'Always' or 'Never'",
    ),
    ("  seed: 1", "  storage: {size: 10GB}", "16: spec.storage.size: must be an amount of memory such as 512Mi"),
    ("  seed: 1", "  storage: {kind: url}", "16: spec.storage: kind: url and a url go together; write both or none"),
    (
        "  seed: 1",
        "  storage: {kind: url, url: 's3://key:secret@bucket/x'}",
        "16: spec.storage.url: must be a folder of an object store such as s3://bucket/folder, without credentials",
    ),
    ("  seed: 1", "  storage: {kind: emptyDir, className: fast}", "16: spec.storage: className is a claim's, and this"),
    ("  seed: 1", "  storage: {serviceAccountName: me}", "16: spec.storage: serviceAccountName is for a url, and this"),
    ("  seed: 1", "  queue: My_Queue", "16: spec.queue: must be a name of Kubernetes (lower-case letters, digits,"),
    ("  seed: 1", "  egress: [{cidr: all}]", "16: spec.egress.0.cidr: must be a network such as 203.0.113.0/24"),
    (
        "resources: {cpu: 1, memory: 1Gi}",
        "volumes: [{name: data, mountPath: /tmp/x, claim: data}]",
        "15: spec.roles.actor.volumes.0.mountPath: must not lie in /tmp, which every pod has for itself",
    ),
    (
        "replicas: 2",
        "volumes: [{name: data, mountPath: //tmp, claim: data}]",
        "14: spec.roles.actor.volumes.0.mountPath: must be an absolute path such as /data, not '//tmp'",
    ),
    (
        "replicas: 2",
        "volumes: [{name: a, mountPath: /data, claim: a}, {name: b, mountPath: /data/, claim: b}]",
        "14: spec.roles.actor.volumes: the mountPath /data is there twice; every volume needs one of its own",
    ),
    (
        "resources: {cpu: 1, memory: 1Gi}",
        "volumes: [{name: data, mountPath: /data}]",
        "15: spec.roles.actor.volumes.0: must name one of claim, configMap and secret, not 0 of them",
    ),
    ("  seed: 1", "  prometheus: {prot: 1}", "16: spec.prometheus.prot: unknown key 'prot' (did you mean 'port'?)"),
    ("apiVersion: surreal.dev/v1alpha1", "apiVersion: v2", "1: apiVersion: must be 'surreal.dev/v1alpha1', not 'v2'"),
    ("kind: Experiment", "kind: Job", "2: kind: must be 'Experiment', not 'Job'"),
    (
        "kind: Experiment",
        "kinds: Experiment",
        "2: kinds: unknown key 'kinds' (did you mean 'kind'?); allowed: apiVersion",
    ),
    ("name: cheetah-ppo", "nam: x", "3: metadata.name: missing"),
    ("name: cheetah-ppo", "name: Cheetah_ppo", "4: metadata.name: must be a DNS label (lower-case letters, digits"),
    ("name: cheetah-ppo", "name: Cheetah_ppo", "not 'Cheetah_ppo'; for example 'cheetah-ppo'"),
    ("  seed: 1", "  seed: None", "16: spec.seed: must be a whole number, not 'None'; none is written null"),
    ("  seed: 1", "  seed: none", "16: spec.seed: must be a whole number, not 'none'; none is written null"),
    ("name: cheetah-ppo", "name: 2024", "4: metadata.name: must be text, not 2024; put it in quotes"),
    ("name: cheetah-ppo", "name: " + "x" * 41, "4: metadata.name: must be a DNS label"),
    ("name: cheetah-ppo", "name: ../etc", "for example 'etc'"),
    ("name: cheetah-ppo", 'name: "x\\n"', "4: metadata.name: must be a DNS label"),
    ("name: cheetah-ppo", "name: x\n  labels: {a: b c}", "5: metadata.labels.a: must be letters, digits"),
    (
        "id: HalfCheetah-v5",
        "id: HalfCheeta-v5",
        "7: spec.env.id: no environment 'HalfCheeta-v5' (did you mean 'HalfCh",
    ),
    ("id: HalfCheetah-v5", "id: HalfCheetah-v3", "7: spec.env.id: 'HalfCheetah-v3' is retired: gymnasium "),
    ("id: HalfCheetah-v5", "id: HalfCheetah-v3", " cannot make it. Use 'HalfCheetah-v5'."),
    ("id: HalfCheetah-v5", "id: HalfChetah-v2", "'HalfChetah-v2' (did you mean 'HalfCheetah-v5'?)"),
    ("id: HalfCheetah-v5", "id: ''", "7: spec.env.id: must have at least 1 characters, not ''"),
    ("id: HalfCheetah-v5", "id: x:Y\n    copies: 0", "8: spec.env.copies: must be 1 or more, not 0"),
    ("id: HalfCheetah-v5", "id: x:Y\n    copies: two", "8: spec.env.copies: must be a whole number, not 'two'"),
    ("id: HalfCheetah-v5", "id: x:Y\n    copies: yes", "8: spec.env.copies: must be a whole number, not 'yes'"),
    ("id: HalfCheetah-v5", "id: x:Y\n    copies: true", "8: spec.env.copies: must be a whole number, not true"),
    ("name: ppo", "name: pppo", "9: spec.algorithm.name: no algorithm 'pppo' (did you mean 'ppo'?). There are: ars"),
    ("name: ppo", "name: [ppo]", "9: spec.algorithm.name: must be text, not ['ppo']"),
    (
        "total_steps: 1_000_000",
        "learning_rte: 1",
        "11: spec.algorithm.config.learning_rte: unknown key 'learning_rte' (did ",
    ),
    ("total_steps: 1_000_000", "learning_rte: 1", "you mean 'learning_rate'?); allowed: anneal, anneal_clip, clip, "),
    (
        "total_steps: 1_000_000",
        "total_steps: 1.5e0",
        "11: spec.algorithm.config.total_steps: must be a whole number, not 1.5",
    ),
    ("total_steps: 1_000_000", "gamma: 1.5", "11: spec.algorithm.config.gamma: must be 1 or less, not 1.5"),
    ("total_steps: 1_000_000", "clip: 0", "11: spec.algorithm.config.clip: must be more than 0, not 0"),
    ("total_steps: 1_000_000", "anneal: no", "11: spec.algorithm.config.anneal: must be true or false, not 'no'"),
    (
        "total_steps: 1_000_000",
        "objective: clap",
        "11: spec.algorithm.config.objective: must be 'clip' or 'adaptive-kl',",
    ),
    (
        "total_steps: 1_000_000",
        "hidden: [64, x]",
        "11: spec.algorithm.config.hidden.1: must be a whole number, not 'x'",
    ),
    ("total_steps: 1_000_000", "hidden: []", "11: spec.algorithm.config.hidden: must have at least 1 items, not []"),
    ("total_steps: 1_000_000", "- x", "10: spec.algorithm.config: must be a mapping (key: value), not ['x']"),
    (
        "actor:",
        "actr:",
        "13: spec.roles.actr: unknown role 'actr' (did you mean 'actor'?); ppo has: learner, actor, evaluator",
    ),
    ("actor:", "evaluator:", "14: spec.roles.evaluator.replicas: must be 1, not 2: ppo has one evaluator only"),
    ("replicas: 2", "replicas: 0", "14: spec.roles.actor.replicas: must be 1 or more, not 0"),
    ("replicas: 2", "replicas: -3", "14: spec.roles.actor.replicas: must be 1 or more, not -3"),
    ("replicas: 2", "replicas: 1000000000", "14: spec.roles.actor.replicas: must be 10000 or less, not 1000000000"),
    ("replicas: 2", "replica: 2", "14: spec.roles.actor.replica: unknown key 'replica' (did you mean 'replicas'?)"),
    ("replicas: 2", "env: {A: 1}", "14: spec.roles.actor.env.A: must be text, not 1; put it in quotes"),
    ("replicas: 2", "env: {A-B: x}", "14: spec.roles.actor.env: 'A-B' cannot name an environment variable"),
    ("replicas: 2", 'env: {A: "\\0"}', "14: spec.roles.actor.env: the value of A holds a zero byte"),
    ("{cpu: 1, memory: 1Gi}", "{cpu: 1x}", "15: spec.roles.actor.resources.cpu: must be a number of cores such as 2,"),
    ("{cpu: 1, memory: 1Gi}", "{cpu: 0}", "15: spec.roles.actor.resources.cpu: must be more than 0, not 0"),
    (
        "{cpu: 1, memory: 1Gi}",
        "{memory: 1GB}",
        "15: spec.roles.actor.resources.memory: must be an amount of memory such",
    ),
    ("{cpu: 1, memory: 1Gi}", "{memory: 0Gi}", "15: spec.roles.actor.resources.memory: must be more than 0, not '0Gi'"),
    ("{cpu: 1, memory: 1Gi}", "{gpu: -1}", "15: spec.roles.actor.resources.gpu: must be 0 or more, not -1"),
    ("{cpu: 1, memory: 1Gi}", "", "15: spec.roles.actor.resources: must be a mapping (key: value), not nothing"),
    ("seed: 1", "seed: 4294967296", "16: spec.seed: must be less than 4294967296, not 4294967296"),
    ("seed: 1", "channels: {weights: {relays: -1}}", "16: spec.channels.weights.relays: must be 0 or more, not -1"),
    ("seed: 1", "channels: {weights: {relay: 1}}", "unknown key 'relay' (did you mean 'relays'?); allowed: dtype, rel"),
    (
        "seed: 1",
        "channels: {weights: {dtype: bf16}}",
        "16: spec.channels.weights.dtype: must be 'bfloat16', not 'bf16'",
    ),
    (
        "seed: 1",
        "channels: {weigths: {relays: 1}}",
        "16: spec.channels.weigths: unknown broadcast 'weigths' (did you mean 'weights'?); only broadcasts have",
    ),
    (
        "seed: 1",
        "channels: {metrics: {relays: 1}}",
        "16: spec.channels.metrics: metrics is a stream; only broadcasts have keys, ppo has: weights",
    ),
    ("seed: 1", "channels: 3", "16: spec.channels: must be a mapping (key: value), not 3"),
    ("seed: 1", "channels: {weights: {relays: many}}", "spec.channels.weights.relays: must be a whole number, not 'm"),
    ("actor:", "weights-relay: {}\n    actor:", "13: spec.roles.weights-relay: unknown role 'weights-relay'"),
    (
        "roles:",
        "channels: {weights: {relays: 2}}\n  roles:\n    weights-relay: {replicas: 3}",
        "14: spec.roles.weights-relay.replicas: must be 2, not 3: spec.channels.weights.relays says so",
    ),
    ("seed: 1", "seeds: 1", "16: spec.seeds: unknown key 'seeds' (did you mean 'seed'?)"),
    (
        "seed: 1",
        "checkpoints: {every_seconds: 3}",
        "16: spec.checkpoints.every_seconds: unknown key 'every_seconds' (did",
    ),
    ("seed: 1", "checkpoints: {keep: 0}", "16: spec.checkpoints.keep: must be 1 or more, not 0"),
    ("seed: 1", "seed: 1\n  seed: 2", "17: duplicate key 'seed'"),
]


@pytest.mark.parametrize(("old", "new", "said"), MISTAKES)
def test_a_mistake_is_said_with_its_line_its_key_and_what_is_allowed(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    message = "\n".join(refusal(tmp_path, spoiled(old, new)))
    assert said in message
    assert message.startswith("experiment.yaml:")


@pytest.mark.parametrize(("old", "new", "said"), MISTAKES)
def test_the_words_of_the_validation_library_never_show(tmp_path: Path, old: str, new: str, said: str) -> None:
    message = "\n".join(refusal(tmp_path, spoiled(old, new)))
    for jargon in ("Input should", "pydantic", "type=", "Extra inputs", "Field required", "validation error", "dict"):
        assert jargon not in message


def test_all_mistakes_of_a_file_are_said_together_in_the_order_of_their_lines(tmp_path: Path) -> None:
    text = spoiled("name: cheetah-ppo", "name: A").replace("1_000_000", "0").replace("replicas: 2", "replicas: 0")
    lines = refusal(tmp_path, text)
    assert [line.split(": ")[:2] for line in lines] == [
        ["experiment.yaml:4", "metadata.name"],
        ["experiment.yaml:11", "spec.algorithm.config.total_steps"],
        ["experiment.yaml:14", "spec.roles.actor.replicas"],
    ]


def test_of_very_many_mistakes_the_first_are_said_and_the_rest_counted(tmp_path: Path) -> None:
    lines = refusal(tmp_path, VALID + "".join(f"key{i}: 1\n" for i in range(1000)))
    assert len(lines) == 21
    assert lines[0].startswith("experiment.yaml:17: key0: unknown key 'key0'")
    assert lines[-1] == "experiment.yaml: and 980 more problems"


def test_a_very_long_bad_value_is_cut(tmp_path: Path) -> None:
    assert max(map(len, refusal(tmp_path, spoiled("id: HalfCheetah-v5", "id: " + "H" * 100_000)))) < 2100


@pytest.mark.parametrize("text", ["3", "[a]", "null", "text"])
def test_a_document_that_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    assert refusal(tmp_path, text)[0].startswith("experiment.yaml:1: must be a mapping (key: value), not")


@pytest.mark.parametrize(
    "part", ["spec: 3", "spec: {env: 3, algorithm: 4, roles: 5}", "spec: {roles: {1a: 2}}", "a: b"]
)
def test_wrong_shapes_are_refused_and_not_followed(tmp_path: Path, part: str) -> None:
    assert all(line.startswith("experiment.yaml:1") for line in refusal(tmp_path, f"{{metadata: {{name: x}}, {part}}}"))


def test_a_missing_file_a_folder_and_an_unreadable_text_are_refused(tmp_path: Path) -> None:
    for path, said in [(tmp_path / "none.yaml", "no such file"), (tmp_path, "cannot be read: Is a directory")]:
        with pytest.raises(InvalidInput, match=said):
            load_experiment(path)
    assert refusal(tmp_path, b"a: 1\nb: \xff\n") == ["experiment.yaml:2: not UTF-8 (byte 0xff). Save it as UTF-8."]


def test_a_file_over_a_mebibyte_is_refused_unread(tmp_path: Path) -> None:
    assert "larger than 1 MiB" in refusal(tmp_path, b"#" * (1 << 20) + b"\n")[0]


def test_a_file_of_a_mebibyte_is_read(tmp_path: Path) -> None:
    comment = "#" * ((1 << 20) - len(VALID))
    assert load_text(tmp_path, VALID + comment).metadata.name == "cheetah-ppo"


def test_environments_of_ones_own_are_not_looked_up(tmp_path: Path) -> None:
    assert load_text(tmp_path, spoiled("id: HalfCheetah-v5", "id: my_envs:Maze-v0")).spec.env.id == "my_envs:Maze-v0"


def test_a_whole_float_is_taken_where_a_whole_number_is_needed(tmp_path: Path) -> None:
    text = spoiled("total_steps: 1_000_000", "total_steps: 1e6").replace("replicas: 2", "replicas: 2.0")
    experiment = load_text(tmp_path, text)
    assert experiment == load_text(tmp_path, VALID)
    assert type(experiment.spec.algorithm.config["total_steps"]) is int


def test_a_cluster_file_is_named_in_one_sentence(tmp_path: Path) -> None:
    cluster = "apiVersion: surreal.dev/v1alpha1\nkind: Cluster\nmetadata: {name: lab}\nspec: {provider: minikube}\n"
    (line,) = refusal(tmp_path, cluster)
    assert "2: kind: 'Cluster' is not an Experiment: this is a cluster file" in line
    assert "surreal cluster plan" in line


def test_an_experiment_carries_its_algorithm_with_relays_and_the_folder_of_its_file(tmp_path: Path) -> None:
    experiment = load_text(tmp_path, VALID, "spec.channels.weights.relays=2")
    assert experiment.folder == tmp_path
    assert experiment.algorithm.name == "ppo"
    assert experiment.algorithm.role("weights-relay").replicas == 2
