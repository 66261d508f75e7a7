"""What an API server knows and answers, without HTTP: objects, versions, owners, rules, in the words of a real one.

`test_api_contract.py` holds it to a real control plane. Not there: defaulting, schemas, schedulers, kubelets.
"""

import copy
import itertools
import json
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from surreal.provisioner.kube.kinds import KINDS, Object

Key = tuple[str, str, str]
"""Kind, namespace (empty without one), name."""
JOB_MUTABLE = {"suspend", "parallelism", "activeDeadlineSeconds", "ttlSecondsAfterFinished", "backoffLimit"}
IDENTITY = {("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace")}
"""Which object it is, and no field that anybody owns."""
SYSTEM = {"uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "deletionTimestamp"}
"""Metadata that only the server sets."""


class Failure(Exception):
    """An answer of status 400 and more."""

    def __init__(self, status: int, reason: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.status = status
        self.headers: dict[str, str] = {}
        self.body = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": reason,
            "details": details,
            "code": status,
        }


@dataclass
class Rules:
    """What the user of the server may do: all, until `only` says what."""

    user: str = "tester"
    allowed: set[tuple[str, str]] | None = None
    """(verb, resource) such as ("create", "jobs") or ("get", "pods/log"); None is all."""
    shown: set[tuple[str, str]] | None = None
    """Those of them that a list of rules shows; None is all. Authorisers that ask elsewhere cannot list."""

    def allows(self, verb: str, resource: str) -> bool:
        return self.allowed is None or (verb, resource) in self.allowed or resource.startswith("selfsubject")


@dataclass
class Store:
    """The objects of a cluster. All methods may be called from any thread."""

    rules: Rules = field(default_factory=Rules)
    admission: list[Callable[[Object], Failure | None]] = field(default_factory=list)
    """Each may refuse an object that is about to be made or changed: quotas, webhooks."""
    collects: bool = True
    """Does the garbage collector run?"""
    runs_jobs: bool = False
    """Do Jobs get pods, which run until they are deleted?"""
    pods_begin: str = "Running"
    """The phase of new pods."""

    def __post_init__(self) -> None:
        self.objects: dict[Key, Object] = {}
        self.changed = threading.Condition(threading.RLock())
        self.history: list[tuple[int, str, Object, Object | None]] = []
        """(version, type, object, what it was before) of every change, for watches."""
        self.forgotten = 0
        """Watches and pages from an older version are answered with 410."""
        self._versions = itertools.count(1)
        self._closed = False
        for name in ("default", "kube-system"):
            self.create("Namespace", "", {"metadata": {"name": name}, "status": {"phase": "Active"}}, "system", False)
        self._controllers = threading.Thread(target=self._control, daemon=True)
        self._controllers.start()

    def close(self) -> None:
        with self.changed:
            self._closed = True
            self.changed.notify_all()
        self._controllers.join()

    # what a test looks at

    def names(self, kind: str | None = None) -> list[str]:
        """`Kind/name` of all objects there are, or the names of one kind; without the namespaces."""
        with self.changed:
            if kind:
                return sorted(name for found, _, name in self.objects if found == kind)
            return sorted(f"{kind}/{name}" for kind, _, name in self.objects if kind != "Namespace")

    def await_names(self, wanted: list[str], seconds: float = 120.0) -> None:
        """Wait until exactly these objects are there: controllers take their time."""
        with self.changed:
            assert self.changed.wait_for(lambda: self.names() == wanted, seconds), self.names()

    def await_count(self, kind: str, count: int, seconds: float = 120.0) -> list[str]:
        """Wait until there are so many objects of a kind, which controllers make when they come to it; their names."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.names(kind)) == count, seconds), self.names(kind)
            return self.names(kind)

    # verbs

    def get(self, kind: str, namespace: str, name: str) -> Object:
        with self.changed:
            try:
                return copy.deepcopy(self.objects[kind, namespace, name])
            except KeyError:
                raise _absent(kind, name) from None

    def create(self, kind: str, namespace: str, body: Object, manager: str, dry: bool) -> Object:
        name = body["metadata"].get("name") or body["metadata"]["generateName"] + uuid.uuid4().hex[:5]
        key = (kind, namespace, name)
        with self.changed:
            self._check_namespace(key, name)
            if key in self.objects:
                raise _conflict("AlreadyExists", kind, name, "already exists")
            made = _stored(kind, body, name, namespace)
            made["metadata"]["managedFields"] = _managed({}, manager, "Update", body)
            self._admit(made)
            return made if dry else self._put(key, made)

    def apply(self, kind: str, namespace: str, name: str, body: Object, manager: str, force: bool, dry: bool) -> Object:
        """Server-side apply; lists are of one piece but for owners. The status is 201 where it makes the object."""
        key = (kind, namespace, name)
        with self.changed:
            self._check_namespace(key, name)
            old = self.objects.get(key)
            if not old:
                made = _stored(kind, body, name, namespace)
                made["metadata"]["managedFields"] = _managed({}, manager, "Apply", body)
                self._admit(made)
                return made if dry else self._put(key, made)
            return self._change(key, _applied(old, body, manager, force, kind), dry)

    def patch(self, kind: str, namespace: str, name: str, body: Object, manager: str, dry: bool) -> Object:
        """A JSON merge patch."""
        key = (kind, namespace, name)
        with self.changed:
            if key not in self.objects:
                raise _absent(kind, name)
            old = self.objects[key]
            about = body.get("metadata") or {}
            if about.get("uid", old["metadata"]["uid"]) != old["metadata"]["uid"]:
                wrong = {"field": "metadata.uid", "message": f'Invalid value: "{about["uid"]}": field is immutable'}
                raise _invalid(kind, name, [{"reason": "FieldValueInvalid", **wrong}])
            if about.get("resourceVersion", old["metadata"]["resourceVersion"]) != old["metadata"]["resourceVersion"]:
                raise _conflict("Conflict", kind, name, "the object has been modified")
            new = _merged(old, body)
            new["metadata"]["managedFields"] = _managed(old, manager, "Update", body)
            return self._change(key, new, dry)

    def delete(self, kind: str, namespace: str, name: str, propagation: str, uid: str | None) -> None:
        key = (kind, namespace, name)
        with self.changed:
            if key not in self.objects:
                raise _absent(kind, name)
            old = self.objects[key]
            if uid and uid != old["metadata"]["uid"]:
                raise _conflict("Conflict", kind, name, "the UID in the precondition is another")
            if propagation == "Orphan":
                for other in self._dependents(old):
                    self._put(other, _without_owner(self.objects[other], old))
            if propagation == "Foreground" and self._dependents(old):
                finalizers = [*old["metadata"].get("finalizers", ()), "foregroundDeletion"]
                self._put(key, _merged(old, {"metadata": {"finalizers": finalizers, "deletionTimestamp": _now()}}))
            elif old["metadata"].get("finalizers"):
                self._put(key, _merged(old, {"metadata": {"deletionTimestamp": _now()}}))
            elif kind == "Namespace":
                ending = {"metadata": {"deletionTimestamp": _now()}, "status": {"phase": "Terminating"}}
                self._put(key, _merged(old, ending))
            else:
                self._drop(key)

    def all_of(self, kind: str, namespace: str | None) -> tuple[list[Object], int]:
        """The objects of a namespace, or of all if None, and the version of that list."""
        with self.changed:
            keys = sorted(key for key in self.objects if key[0] == kind and namespace in (None, key[1]))
            return [copy.deepcopy(self.objects[key]) for key in keys], self._version()

    def events(
        self, kind: str, namespace: str | None, version: int, seconds: float
    ) -> Iterator[tuple[str, Object, Object | None]]:
        """Changes after a version as they come, with what was before; ends after so many seconds."""
        end = datetime.now(UTC).timestamp() + seconds
        while True:
            with self.changed:
                if version < self.forgotten:
                    raise Failure(410, "Expired", f"too old resource version: {version} ({self.forgotten})")
                news = [each for each in self.history if each[0] > version]
                if not news:
                    left = end - datetime.now(UTC).timestamp()
                    if left <= 0 or self._closed or not self.changed.wait(left):
                        return
            version = news[-1][0]
            for _, what, each, before in news:
                if each["kind"] == kind and namespace in (None, each["metadata"].get("namespace", "")):
                    yield what, each, before

    def forget(self) -> None:
        """Compact: whoever goes on from an older version is told to begin again."""
        with self.changed:
            self.forgotten = self._version() + 1
            next(self._versions)

    # inside

    def _check_namespace(self, key: Key, name: str) -> None:
        kind, namespace, _ = key
        if not KINDS[kind].namespaced:
            return
        found = self.objects.get(("Namespace", "", namespace))
        if not found:
            raise _absent("Namespace", namespace)
        if found["status"]["phase"] == "Terminating" and key not in self.objects:
            text = f"unable to create new content in namespace {namespace} because it is being terminated"
            cause = {"reason": "NamespaceTerminating", "message": f"namespace {namespace} is being terminated"}
            message = f'{KINDS[kind].plural} "{name}" is forbidden: {text}'
            raise Failure(403, "Forbidden", message, name=name, kind=KINDS[kind].plural, causes=[cause])

    def _admit(self, made: Object) -> None:
        if made["kind"] == "PersistentVolumeClaim" and "storageClassName" not in made.get(
            "spec", {"storageClassName": ""}
        ):
            self._add_default_class(made)
        for check in self.admission:
            if refused := check(made):
                raise refused

    def _add_default_class(self, claim: Object) -> None:
        """Do what the admission plug-in DefaultStorageClass does."""
        for (kind, _, name), each in self.objects.items():
            marks = each["metadata"].get("annotations") or {}
            if kind == "StorageClass" and marks.get("storageclass.kubernetes.io/is-default-class") == "true":
                claim["spec"]["storageClassName"] = name

    def _change(self, key: Key, new: Object, dry: bool) -> Object:
        old = self.objects[key]
        _check_immutable(old, new)
        self._admit(new)
        if dry or _content(old) == _content(new):
            return copy.deepcopy(new)
        if _content(old, "spec") != _content(new, "spec"):
            new["metadata"]["generation"] = old["metadata"].get("generation", 1) + 1
        if new["metadata"].get("deletionTimestamp") and not new["metadata"].get("finalizers"):
            self._drop(key)
            return copy.deepcopy(new)
        return self._put(key, new)

    def _put(self, key: Key, made: Object) -> Object:
        what = "MODIFIED" if key in self.objects else "ADDED"
        about = made["metadata"]
        about.setdefault("uid", str(uuid.uuid4()))
        about.setdefault("creationTimestamp", _now())
        about["resourceVersion"] = str(next(self._versions))
        made = {"apiVersion": KINDS[key[0]].version, "kind": key[0], **made}
        before = self.objects.get(key)
        self.objects[key] = made
        self._tell(what, made, before)
        return copy.deepcopy(made)

    def _drop(self, key: Key) -> None:
        gone = copy.deepcopy(self.objects.pop(key))
        gone["metadata"]["resourceVersion"] = str(next(self._versions))
        self._tell("DELETED", gone, gone)

    def _tell(self, what: str, each: Object, before: Object | None) -> None:
        self.history.append((int(each["metadata"]["resourceVersion"]), what, copy.deepcopy(each), before))
        self.changed.notify_all()

    def _version(self) -> int:
        return self.history[-1][0] if self.history else 0

    def _dependents(self, owner: Object) -> list[Key]:
        uid = owner["metadata"]["uid"]
        return [key for key, each in self.objects.items() if uid in {one["uid"] for one in _owners(each)}]

    # controllers

    def _control(self) -> None:
        """Collects garbage and gives Jobs their pods, after each change."""
        with self.changed:
            while not self._closed:
                busy = self._empty_namespaces() or (self.collects and self._collect())
                if not busy and not (self.runs_jobs and self._run_jobs()):
                    self.changed.wait()

    def _empty_namespaces(self) -> bool:
        """A namespace that is being removed goes after all in it."""
        for key, each in self.objects.items():
            if key[0] != "Namespace" or not each["metadata"].get("deletionTimestamp"):
                continue
            inside = [one for one in self.objects if one[1] == key[2]]
            free = [one for one in inside if not self.objects[one]["metadata"].get("finalizers")]
            if free or not inside:
                self._drop(free[0] if free else key)
                return True
        return False

    def _collect(self) -> bool:
        """One object whose owners are all gone goes, as does an owner in foreground deletion that has none left."""
        uids = {each["metadata"]["uid"] for each in self.objects.values()}
        for key, each in self.objects.items():
            owners = _owners(each)
            if owners and not any(owner["uid"] in uids for owner in owners):
                self._drop(key)
                return True
            ending = [o for o in owners if self._ends_foreground(o["uid"])]
            if ending and not each["metadata"].get("deletionTimestamp"):
                self._drop(key)
                return True
        for key, each in list(self.objects.items()):
            if "foregroundDeletion" in each["metadata"].get("finalizers", ()) and not self._dependents(each):
                self._drop(key)
                return True
        return False

    def _ends_foreground(self, uid: str) -> bool:
        found = [each["metadata"] for each in self.objects.values() if each["metadata"]["uid"] == uid]
        return any("foregroundDeletion" in each.get("finalizers", ()) for each in found)

    def _run_jobs(self) -> bool:
        for (kind, namespace, name), job in list(self.objects.items()):
            if kind != "Job":
                continue
            pods = [key for key in self._dependents(job) if key[0] == "Pod"]
            wanted = 0 if job["spec"].get("suspend") else job["spec"].get("parallelism", 1)
            if len(pods) > wanted:
                self._drop(pods[0])
                return True
            if len(pods) < wanted:
                self._put(("Pod", namespace, f"{name}-{uuid.uuid4().hex[:5]}"), self._pod(job, pods))
                return True
        return False

    def _pod(self, job: Object, pods: list[Key]) -> Object:
        """A pod of the lowest index that has none."""
        index = "batch.kubernetes.io/job-completion-index"
        taken = {self.objects[each]["metadata"].get("annotations", {}).get(index) for each in pods}
        free = next(number for number in range(len(pods) + 1) if str(number) not in taken)
        return _pod(job, f"{job['metadata']['name']}-{free}", free, self.pods_begin)


@contextmanager
def store(**options: Any) -> Iterator[Store]:
    """A store whose controllers run as long as the block lasts."""
    made = Store(**options)
    try:
        yield made
    finally:
        made.close()


def quota(name: str, kind: str, hard: int, there: Callable[[], int]) -> Callable[[Object], Failure | None]:
    """A quota of so many objects of a kind."""

    def check(made: Object) -> Failure | None:
        used = there()
        if made["kind"] != kind or "uid" in made["metadata"] or used < hard:
            return None
        plural = KINDS[kind].plural
        item = f"count/{plural}.batch" if kind == "Job" else f"count/{plural}"
        words = f"exceeded quota: {name}, requested: {item}=1, used: {item}={used}, limited: {item}={hard}"
        own = made["metadata"]["name"]
        return Failure(403, "Forbidden", f'{plural} "{own}" is forbidden: {words}', name=own, kind=plural)

    return check


def _pod(job: Object, name: str, index: int, phase: str) -> Object:
    about, template = job["metadata"], job["spec"].get("template", {})
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": about["name"], "uid": about["uid"], "controller": True}
    labels = {**template.get("metadata", {}).get("labels", {}), "batch.kubernetes.io/job-name": about["name"]}
    metadata = {
        "name": f"{name}-{uuid.uuid4().hex[:5]}",
        "namespace": about["namespace"],
        "labels": labels,
        "annotations": {
            **template.get("metadata", {}).get("annotations", {}),
            "batch.kubernetes.io/job-completion-index": str(index),
        },
        "ownerReferences": [owner],
    }
    return {"metadata": metadata, "spec": {}, "status": {"phase": phase}}


def _stored(kind: str, body: Object, name: str, namespace: str) -> Object:
    made = copy.deepcopy(body)
    about = {key: value for key, value in made["metadata"].items() if key not in SYSTEM}
    made["metadata"] = {**about, "name": name, "generation": 1, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": KINDS[kind].version, "kind": kind, **made}


def _applied(old: Object, body: Object, manager: str, force: bool, kind: str) -> Object:
    """The object after server-side apply."""
    wanted = {path: value for path, value in _leaves(body) if path not in IDENTITY}
    there = dict(_leaves(old))
    causes = []
    for one in old["metadata"].get("managedFields", ()):
        if (one["manager"], one["operation"]) != (manager, "Apply"):
            owned = {tuple(path) for path in one["fieldsV1"]}
            lost = [path for path in wanted if path in owned and wanted[path] != there.get(path)]
            message = f'conflict with "{one["manager"]}"'
            causes += [{"reason": "FieldManagerConflict", "message": message, "field": _dotted(p)} for p in lost]
    if causes and not force:
        listed = "\n- ".join(str(cause["field"]) for cause in causes)
        message = f"Apply failed with {len(causes)} conflict: {causes[0]['message']}: {listed}"
        raise Failure(409, "Conflict", message, causes=causes)
    new = copy.deepcopy(old)
    mine = [one for one in old["metadata"].get("managedFields", ()) if one["manager"] == manager]
    before = {tuple(path) for one in mine if one["operation"] == "Apply" for path in one["fieldsV1"]}
    for path in before - set(wanted):
        _unset(new, path)
    for path, value in wanted.items():
        _set(new, path, value)
    new["metadata"]["managedFields"] = _managed(old, manager, "Apply", body)
    return new


def _managed(old: Object, manager: str, operation: str, body: Object) -> list[Object]:
    others = [
        one
        for one in (old.get("metadata") or {}).get("managedFields", ())
        if (one["manager"], one["operation"]) != (manager, operation)
    ]
    fields = [list(path) for path, _ in _leaves(body) if path not in IDENTITY]
    return [*others, {"manager": manager, "operation": operation, "fieldsV1": fields}]


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, (*path, key))
    else:
        yield path, value


def _set(target: Object, path: tuple[str, ...], value: Any) -> None:
    *outer, last = path
    for key in outer:
        if not isinstance(target.get(key), dict):
            target[key] = {}
        target = target[key]
    target[last] = copy.deepcopy(value)


def _unset(target: Object, path: tuple[str, ...]) -> None:
    *outer, last = path
    for key in outer:
        target = target.get(key) or {}
    target.pop(last, None)


def _merged(old: Any, change: Any) -> Any:
    """RFC 7386."""
    if not isinstance(change, dict):
        return copy.deepcopy(change)
    new = copy.deepcopy(old) if isinstance(old, dict) else {}
    for key, value in change.items():
        if value is None:
            new.pop(key, None)
        else:
            new[key] = _merged(new.get(key), value)
    return new


def _check_immutable(old: Object, new: Object) -> None:
    kind, name = old["kind"], old["metadata"]["name"]
    wrong: list[str] = []
    if kind in ("ConfigMap", "Secret") and old.get("immutable"):
        wrong = [key for key in ("data", "binaryData", "stringData") if old.get(key) != new.get(key)]
        wrong = [f"{key}: Forbidden: field is immutable when `immutable` is set" for key in wrong]
    if kind == "Job":
        keys = {
            key for key in {*old["spec"], *new["spec"]} - JOB_MUTABLE if old["spec"].get(key) != new["spec"].get(key)
        }
        wrong = [f'spec.{key}: Invalid value: "{name}": field is immutable' for key in sorted(keys)]
    if kind == "PersistentVolumeClaim" and old["spec"] != new["spec"]:
        wrong = ["spec: Forbidden: spec is immutable after creation except resources.requests"]
    if wrong:
        causes = [
            {"reason": "FieldValueInvalid", "field": each.partition(": ")[0], "message": each.partition(": ")[2]}
            for each in wrong
        ]
        raise _invalid(kind, name, causes)


def _invalid(kind: str, name: str, causes: list[dict[str, str]]) -> Failure:
    listed = "; ".join(f"{each['field']}: {each['message']}" for each in causes)
    message = f'{kind}.{KINDS[kind].group} "{name}" is invalid: {listed}'
    return Failure(422, "Invalid", message, name=name, kind=kind, causes=causes)


def _absent(kind: str, name: str) -> Failure:
    plural = KINDS[kind].plural + (f".{KINDS[kind].group}" if KINDS[kind].group else "")
    return Failure(404, "NotFound", f'{plural} "{name}" not found', name=name, kind=KINDS[kind].plural)


def _conflict(reason: str, kind: str, name: str, words: str) -> Failure:
    plural = KINDS[kind].plural + (f".{KINDS[kind].group}" if KINDS[kind].group else "")
    text = f'{plural} "{name}" already exists' if reason == "AlreadyExists" else f'Operation on "{name}": {words}'
    return Failure(409, reason, text, name=name, kind=KINDS[kind].plural)


def _owners(each: Object) -> list[Object]:
    return each["metadata"].get("ownerReferences") or []


def _without_owner(each: Object, owner: Object) -> Object:
    left = [one for one in _owners(each) if one["uid"] != owner["metadata"]["uid"]]
    changed: Object = _merged(each, {"metadata": {"ownerReferences": left or None}})
    return changed


def _content(each: Object, *keys: str) -> str:
    about = {key: value for key, value in each["metadata"].items() if key not in {"resourceVersion", "managedFields"}}
    whole = {**each, "metadata": about}
    return json.dumps({key: whole.get(key) for key in keys} if keys else whole, sort_keys=True)


def _dotted(path: tuple[str, ...]) -> str:
    return "." + ".".join(path)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
