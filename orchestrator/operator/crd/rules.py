"""Rules in CEL that an API server checks before it takes an Experiment or a Sweep.

They keep to has(), size(), matches(), all() and comparisons, which every supported version knows. What lies below a
node without a schema (config, options, wrappers) is out of their reach: the operator judges that.
"""

from typing import Any

Rule = dict[str, Any]
FREE = ("suspend", "replicas", "roles", "ttlSecondsAfterFinished")
"""Keys of an Experiment's spec that may change while it runs; the operator judges those of roles."""
ANOTHER = "apply it under another name, or delete the experiment first"


def rule(text: str, message: str, path: str = "") -> Rule:
    """Return one rule; `path` names the key that is wrong."""
    at = {"fieldPath": path} if path else {}
    return {"rule": text, "message": message, "reason": "FieldValueInvalid", **at}


def experiment_rules(properties: dict[str, Any]) -> list[Rule]:
    """Return the rules of an Experiment's spec with these properties."""
    return [
        rule(
            "!has(self.code)", "code is a folder of one machine; surreal create --on kube packs and sends it", ".code"
        ),
        *(locked(key, properties[key]) for key in properties if key not in FREE),
    ]


def locked(key: str, schema: dict[str, Any]) -> Rule:
    """Return the rule that a key of a spec keeps its value."""
    same = f"self.{key} == oldSelf.{key}"
    if "default" not in schema:
        same = f"has(self.{key}) == has(oldSelf.{key}) && (!has(self.{key}) || {same})"
    message = f"{key} of a run does not change: {ANOTHER}"
    return {**rule(same, message, f".{key}"), "reason": "FieldValueForbidden"}


def algorithm_rules(known: list[str]) -> list[Rule]:
    """Return the rules of spec.algorithm; `known` are the built-in algorithms."""
    names = ", ".join(f"'{name}'" for name in known)
    own = "one of your own is code, which surreal create --on kube sends"
    return [rule(f"self.name in [{names}]", f"must be one of {', '.join(known)}; {own}", ".name")]


STORAGE = [
    rule("(self.kind == 'url') == has(self.url)", "kind: url and a url go together; write both or none", ".url"),
    rule(
        "!has(self.className) || self.kind in ['auto', 'claim']", "className is for kind: auto or claim", ".className"
    ),
    rule(
        "!has(self.serviceAccountName) || self.kind == 'url'",
        "serviceAccountName is for kind: url",
        ".serviceAccountName",
    ),
]
VOLUME = [
    rule(
        "[has(self.claim), has(self.configMap), has(self.secret)].exists_one(given, given)",
        "must name exactly one of claim, configMap and secret",
    )
]
VARIABLES = [
    rule(
        "self.all(name, name.matches('^[A-Za-z_][A-Za-z0-9_]*$'))",
        "names of environment variables hold letters, digits and _, and begin with no digit",
    )
]
SWEEP = [
    rule("!has(self.sampler) || self.sampler != 'grid' || !has(self.trials)", "a grid has no trials", ".trials"),
    *(
        rule(f"self.{key} == oldSelf.{key}", f"{key} of a sweep does not change: {ANOTHER}", f".{key}")
        for key in ("experiment", "seeds", "samplerSeed", "pruner")
    ),
]
