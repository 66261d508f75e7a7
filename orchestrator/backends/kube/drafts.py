"""Objects of a run before it is one: drawn, rehearsed on the server, compared with those that are there."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from surreal.orchestrator.backends.base import Diff, Difference, Manifest
from surreal.orchestrator.backends.kube.connection import Connected, say
from surreal.orchestrator.backends.kube.names import ZERO_RUN_ID
from surreal.orchestrator.plan.model import Plan
from surreal.orchestrator.run.code_archive import Code, packed
from surreal.orchestrator.run.wiring import key_files
from surreal.provisioner.kube.kinds import Object
from surreal.provisioner.kube.kubeconfig import DEFAULT_NAMESPACE

if TYPE_CHECKING:
    from surreal.orchestrator.backends.kube.lifecycle.create import Draw
    from surreal.orchestrator.experiment.experiment import Experiment


class Drafts(Connected):
    """The part of the backend that draws objects; one namespace of one cluster."""

    def dry_run(self, experiment: Experiment, plan: Plan, *, server: bool) -> list[str]:
        """Return the objects; with `server` the cluster checks rights, quotas and each object."""
        from surreal.orchestrator.backends.kube.lifecycle import create

        objects = self.drawer(plan, packed(plan.code, experiment.folder), experiment.to_yaml())(ZERO_RUN_ID, 1)
        if server:
            warnings = self.check_room(objects)
            create.dry_run(self.api, objects)
            tell(warnings)
        return [f"{each['kind']} {each['metadata']['name']}" for each in objects]

    def render(self, experiment: Experiment, plan: Plan, *, with_keys: bool, offline: bool) -> list[Manifest]:
        """Return the objects as YAML, in the order of their creation; `offline` leaves out what only a server knows."""
        from surreal.orchestrator.backends.kube.manifests.render import draw

        run, keys = (secrets.token_hex(4), key_files(plan)) if with_keys else (ZERO_RUN_ID, None)
        namespace = self._location.namespace or DEFAULT_NAMESPACE if offline else self.api.namespace
        code = packed(plan.code, experiment.folder)
        found = draw(plan, run, namespace, keys, code, experiment.to_yaml())
        return [
            Manifest(f"{number:02}-{each.data['kind'].lower()}-{each.data['metadata']['name']}.yaml", each.text)
            for number, each in enumerate(found)
        ]

    def diff(self, experiment: Experiment, plan: Plan) -> Diff:
        """Compare with the live objects; the server fills in its defaults first."""
        from surreal.orchestrator.backends.kube.lifecycle.diff import diff, identity
        from surreal.orchestrator.backends.kube.manifests.render import render

        run, attempt, user = identity(self.api, plan.name)
        code, text = packed(plan.code, experiment.folder), experiment.to_yaml()
        namespace = self.api.namespace
        objects = render(plan, run, namespace, keys=None, code=code, experiment=text, attempt=attempt, user=user)
        found = diff(self.api, plan.name, objects)
        return Diff(
            len(objects), tuple(Difference(each.kind, each.name, each.change, each.note, each.text()) for each in found)
        )

    def check_room(self, objects: Sequence[Object]) -> Sequence[str]:
        """Ask for rights and quotas; return what does not hinder the run. Raises SurrealError for what does."""
        from surreal.orchestrator.backends.kube.lifecycle import preflight

        return preflight.check(self.api, objects)

    def drawer(self, plan: Plan, code: Code | None, experiment: str, start: Code | None = None) -> Draw:
        """Return a function that draws the objects of a run, with keys made once; `start` is a packed checkpoint."""
        from surreal.orchestrator.backends.kube.manifests.render import render

        keys, user = key_files(plan), self._user

        namespace = self.api.namespace
        return lambda run, attempt: render(
            plan, run, namespace, keys=keys, code=code, experiment=experiment, attempt=attempt, user=user, start=start
        )


def tell(warnings: Iterable[str]) -> None:
    """Say warnings, one line each."""
    for warning in warnings:
        say(f"warning: {warning}")
