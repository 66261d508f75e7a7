"""Whatever a person writes into the file stays the text that it is, in every place of every template."""

import json
import re

import jinja2
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from surreal.orchestrator.backends.kube.manifests import templates as templating
from surreal.orchestrator.plan.model import Plan, PlannedToleration, PlannedVolume
from surreal.protocol.documents import yaml as strictyaml
from surreal.protocol.documents.locations import Source
from tests.orchestrator.kube.rendered import example, objects, of_kind, pods, variables

HOSTILE = [
    "",
    " ",
    "a'b\"c",
    "{{ config }}",
    "{% raw %}",
    "$(HOME)",
    "!!python/object:os.system",
    "---\nkind: Pod",
    "a: b",
    "# no",
    "&a",
    "*a",
    "yes",
    "y",
    "null",
    "~",
    "1e3",
    "0x10",
    "0o7",
    "12:30:45",
    "2026-01-01",
    "\\",
    "\\n",
    "\t",
    "\r\n",
    "\x00",
    "\x7f\x85\u2028\ufeff",
    "日本",
    "\U0001f600",
    "  leading\n  and\n\nempty\n",
    "ends with spaces \nand lines\n\n\n",
    "\nfirst",
    "- a\n- b",
    "a\n---\nb\n...\n",
]
PLACES = templating._environment().from_string(
    "a: {{ x }}\nb:\n  c: {{ x | block(2) }}\n  {{ x }}: [{{ x }}, {{ y }}]\n"
)
HOSTILE_TEXT = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(alphabet=st.characters(exclude_categories=["Cs"])),
    st.text(alphabet=" \n\t{}[]'\"\\$(%!&*-:#|>@`,?~", max_size=40),
)


@settings(max_examples=300, deadline=None)
@given(HOSTILE_TEXT)
def test_text_stays_text_in_every_place_of_a_template(text: str) -> None:
    rendered = PLACES.render(x=text, y={text: [text]})
    wanted = {"a": text, "b": {"c": text, text: [text, {text: [text]}]}}
    if text == "c":
        return
    assert strictyaml.load(rendered, Source())[0] == wanted
    assert strictyaml.load_own(rendered) == wanted
    assert yaml.safe_load(rendered) == wanted


@settings(max_examples=12, deadline=None)
@given(HOSTILE_TEXT, HOSTILE_TEXT)
def test_a_hostile_text_stays_itself_in_every_field_that_a_person_sets(text: str, other: str) -> None:
    found = objects(_hostile(text, other), experiment=text, user=other or "x")
    root = found[0]
    assert root["data"]["experiment.yaml"] == text
    assert json.loads(root["data"]["plan.json"])["env"]["id"] == text
    assert root["metadata"]["annotations"]["surreal.dev/user"] == (other or "x")
    assert len(found) == len(objects(example()))
    for role, pod in pods(found).items():
        worker = pod["containers"][0]
        assert worker["image"] == text
        assert _expanded(variables(worker)["OWN"]) == text
        assert pod["priorityClassName"] == text if text else "priorityClassName" not in pod
        assert {"name": text} in pod["imagePullSecrets"]
        term = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"][0]
        assert term["matchExpressions"] == [{"key": text, "operator": "In", "values": [other]}]
        assert pod["tolerations"][0]["key"] == text and pod["tolerations"][0]["value"] == other
        assert worker["volumeMounts"][-1]["mountPath"] == text
        assert pod["volumes"][-1]["secret"]["secretName"] == other
        wiring = next(each for name, each in of_kind("ConfigMap", found).items() if "-wiring-" in name)
        assert json.loads(wiring["data"][f"{role}.json"])["env"]["id"] == text
    claim = of_kind("PersistentVolumeClaim", found)["cheetah-ppo"]
    assert claim["spec"].get("storageClassName", "") == text


def _hostile(text: str, other: str) -> Plan:
    """The example with `text` and `other` wherever a person's words go, past all checks of the file."""
    plan = example()
    volume = PlannedVolume(name="x", mount_path=text, kind="secret", source=other, read_only=True)
    changes = {
        "env": {"OWN": text},
        "image": text,
        "priority_class": text,
        "selectors": ({text: other},),
        "tolerations": (PlannedToleration(key=text, value=other),),
        "volumes": (volume,),
    }
    roles = tuple(role.model_copy(update=changes) for role in plan.roles)
    storage = plan.storage.model_copy(update={"class_name": text})
    env = {**plan.env, "id": text}
    return plan.model_copy(update={"roles": roles, "storage": storage, "env": env, "image_pull_secrets": (text,)})


def _expanded(value: str) -> str:
    """As the kubelet does: $(NAME) is another variable's value and `$$` a dollar."""
    return re.sub(r"\$\$|\$\([^)]*\)", lambda found: "$" if found[0] == "$$" else "EXPANDED", value)


def test_a_template_that_lacks_a_value_says_so() -> None:
    with pytest.raises(jinja2.UndefinedError, match="namespace"):
        templating.render("serviceaccount", name="a")


def test_half_a_surrogate_pair_and_what_is_no_data_are_refused() -> None:
    with pytest.raises(ValueError, match="surrogate"):
        templating.scalar("\ud800")
    with pytest.raises(TypeError, match="object is no plain data"):
        templating.scalar([object()])
