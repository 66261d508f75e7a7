"""Images of roles, and one processor architecture for all processes of an image.

An image for amd64 does not start on arm64, and an image's architectures are unknown here. A pool that a role names
decides; else the architecture of most nodes is taken, and amd64 where no node is there yet.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from surreal.orchestrator.experiment.model import ExperimentSpec, RoleSpec
from surreal.orchestrator.experiment.pod_model import default_image
from surreal.orchestrator.plan.feasibility import Candidates, candidates, runs_linux
from surreal.protocol.documents.locations import Problem
from surreal.protocol.graph import Role
from surreal.provisioner.pools.model import NodePool

USUAL = "amd64"

Found = dict[str, Candidates]
"""Role -> the pools that it may run on."""


def feasible_pools(
    roles: Sequence[Role], specs: Mapping[str, RoleSpec], pools: Sequence[NodePool], images: Mapping[str, str]
) -> Found:
    """Return the candidates of each role, those of one image on machines of one architecture.

    Gives roles problems where no architecture has machines for all roles of their image.
    """
    found: Found = {}
    for image in dict.fromkeys(images[role.name] for role in roles):
        found |= _of_one_image([role for role in roles if images[role.name] == image], specs, pools, image)
    return {role.name: found[role.name] for role in roles}


def _of_one_image(roles: Sequence[Role], specs: Mapping[str, RoleSpec], pools: Sequence[NodePool], image: str) -> Found:
    free = _candidates(roles, specs, pools)
    architectures = sorted({pool.arch for pool in pools if pool.arch and runs_linux(pool)})
    if len(architectures) < 2 or not _all_placed(free):
        return free
    options = {arch: _candidates(roles, specs, [p for p in pools if p.arch in (None, arch)]) for arch in architectures}
    possible = [arch for arch in architectures if _all_placed(options[arch])]
    if not possible:
        return {name: Candidates(problems=(_mixed(name, each, image),)) for name, each in free.items()}
    chosen = min(possible, key=lambda arch: _order(arch, pools))
    return _with_warning(options[chosen], free, image, chosen)


def _candidates(roles: Sequence[Role], specs: Mapping[str, RoleSpec], pools: Sequence[NodePool]) -> Found:
    return {role.name: candidates(role, specs[role.name], pools) for role in roles}


def _all_placed(found: Found) -> bool:
    return all(each.pools for each in found.values())


def _order(arch: str, pools: Sequence[NodePool]) -> tuple[int, bool, str]:
    """Sort most nodes first, then amd64."""
    return -sum(pool.nodes for pool in pools if pool.arch == arch and runs_linux(pool)), arch != USUAL, arch


def _with_warning(found: Found, free: Found, image: str, arch: str) -> Found:
    """Add to the first role which pools are left out, if any are."""
    offered = [pool.name for each in free.values() for pool in each.pools if pool.arch not in (None, arch)]
    if not offered:
        return found
    text = (
        f"image {image} is taken to be for {arch}: pool {', '.join(dict.fromkeys(offered))} has another architecture "
        "and is left out; name such a pool in every role of the image if the image is for it"
    )
    first = next(iter(found))
    return {**found, first: replace(found[first], warnings=(*found[first].warnings, text))}


def _mixed(role: str, found: Candidates, image: str) -> Problem:
    listed = ", ".join(f"{pool.name!r} ({pool.arch})" for pool in found.pools)
    text = (
        f"would mix architectures of image {image}: {role} can run on {listed}, and other roles of it cannot; "
        "name pools of one architecture, or give the role an image of its own"
    )
    return ("spec", "roles", role, "pool"), text


def gpus_unused(whole: ExperimentSpec) -> tuple[str, ...]:
    """Return warnings of roles that ask for GPUs which the default image has no torch for."""
    return tuple(
        f"{name} asks for {spec.resources.gpu_resource} and computes on the CPU: {default_image()} has no torch for "
        f"it. Name an image that has with spec.roles.{name}.image."
        for name, spec in whole.roles.items()
        if spec.resources.gpu and whole.image_of(spec) == default_image()
    )


def named_for_gpus(roles: Iterable[Role], whole: ExperimentSpec) -> Iterator[str]:
    """Yield what images that the file names must hold for roles with GPUs; whether they do is not known here."""
    for role in roles:
        asked = whole.roles[role.name]
        image = whole.image_of(asked)
        if asked.resources.gpu and role.accelerated and image not in (default_image(), default_image(cuda=True)):
            yield (
                f"{role.name} asks for a GPU: image {image} needs torch's build for it (surreal image build --torch "
                "cuda makes NVIDIA's), else it computes on the CPU and says so in its log"
            )
