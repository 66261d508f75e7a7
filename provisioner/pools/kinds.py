"""The kinds of nodes within one group of a platform: what the scheduler tells apart is no equal machine.

A group of several kinds gives each a name of its own: `GROUP/m7i.large-spot`, `GROUP/4x-nvidia-l4`, `GROUP/8cpu-32Gi`.
The name is made of the properties in which the kinds differ; a plain kind keeps the group's name.
"""

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from surreal.provisioner.pools.labels import MACHINE, PLATFORMS, own_taints
from surreal.provisioner.pools.node import HOST, LINUX, Node

SAME_SIZE = 0.9
"""Nodes with at least this part of the largest one's cores and memory are of one size; kernels keep a little more or
less on equal machines."""
MAX_HOSTS = 50
"""Nodes that are selected by their names at most."""


@dataclass(frozen=True)
class Kind:
    """Equal nodes of one group, and how pods find them."""

    name: str
    nodes: Sequence[Node]
    selector: Mapping[str, str]
    hosts: tuple[str, ...]
    """The nodes' own names, if no label tells them apart from others that matter."""


def kinds(base: str, group: Sequence[Node], everything: Sequence[Node]) -> Iterator[Kind]:
    """Split the nodes of one group; `base` is the group's name, `everything` are the nodes of the cluster."""
    parts = [sorted(nodes, key=lambda node: node.name) for nodes in _split(group)]
    names = _names(base, parts)
    for name, nodes in zip(names, parts, strict=True):
        selector = _selector(base, nodes, group, several=len(parts) > 1)
        others = [node for node in everything if _confusable(node, nodes, selector)]
        if others and (label := _telling_label(nodes, others)):
            selector, others = {**selector, **label}, []
        hosts = tuple(node.host for node in nodes) if others and len(nodes) <= MAX_HOSTS else ()
        yield Kind(name, nodes, selector, hosts)


def _split(group: Sequence[Node]) -> Iterator[list[Node]]:
    alike: dict[object, list[Node]] = defaultdict(list)
    for node in group:
        alike[_traits(node), node.spot_mark is not None, node.machine].append(node)
    for nodes in alike.values():
        yield from _sizes(nodes)


def _traits(node: Node) -> tuple[object, ...]:
    """Return what keeps pods off a node or makes it another kind of machine, sizes and prices apart."""
    accelerators = node.offers.gpus, tuple(sorted(node.offers.accelerators.items())), node.gpu_type, node.accelerated
    return accelerators, node.os, node.arch, node.taints, node.control_plane


def _sizes(nodes: Sequence[Node]) -> Iterator[list[Node]]:
    """Split nodes where the next smaller one has clearly less of something."""
    ordered = sorted(nodes, key=lambda node: (-node.offers.cpu, -node.offers.memory))
    while ordered:
        cpu, memory = ordered[0].offers.cpu * SAME_SIZE, ordered[0].offers.memory * SAME_SIZE
        most = ordered[0].offers.memory / SAME_SIZE
        same = [node for node in ordered if node.offers.cpu >= cpu and memory <= node.offers.memory <= most]
        yield same
        ordered = [node for node in ordered if node not in same]


def _names(base: str, parts: Sequence[Sequence[Node]]) -> list[str]:
    """Return a name for each part: properties are added in turn until all names differ."""
    if len(parts) == 1:
        return [base]
    chosen = [_machine] if len({nodes[0].machine for nodes in parts}) > 1 else []
    for describe in (_accelerators, _arch, _size):
        names = [_name(base, nodes[0], chosen) for nodes in parts]
        if len(set(names)) == len(names):
            return names
        twice = {name for name in names if names.count(name) > 1}
        texts = {describe(nodes[0]) for name, nodes in zip(names, parts, strict=True) if name in twice}
        chosen += [describe] if len(texts) > 1 else []
    names = [_name(base, nodes[0], chosen) for nodes in parts]
    return [name if names.count(name) == 1 else f"{name}-{names[: i + 1].count(name)}" for i, name in enumerate(names)]


def _name(base: str, node: Node, chosen: Iterable[Callable[[Node], str]]) -> str:
    marks = [
        *(describe(node) for describe in chosen),
        node.os if node.os and node.os != LINUX else "",
        "control-plane" if node.control_plane else _kept_for(node),
        "spot" if node.spot_mark else "",
    ]
    suffix = "-".join(mark for mark in marks if mark)
    return f"{base}/{suffix}" if suffix else base


def _kept_for(node: Node) -> str:
    """Return `team-web` for a node that is kept for others by the taint team=web."""
    kept = own_taints(node.platform, node.taints)
    return "-".join(_word(taint.key.rpartition("/")[2], taint.value) for taint in kept)


def _machine(node: Node) -> str:
    return node.machine or ""


def _arch(node: Node) -> str:
    return node.arch or ""


def _size(node: Node) -> str:
    return f"{math.ceil(node.offers.cpu)}cpu-{max(1, round(node.offers.memory / 2**30))}Gi"


def _accelerators(node: Node) -> str:
    found = {node.gpu_type or "gpu": node.offers.gpus, **node.offers.accelerators}
    return "-".join(f"{count}x-{_word(name.rpartition('/')[2])}" for name, count in found.items() if count)


def _word(*parts: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", "-".join(part for part in parts if part).lower()).strip("-")


def _selector(base: str, nodes: Sequence[Node], group: Sequence[Node], several: bool) -> dict[str, str]:
    """Return the labels of the group, and of the kind as far as the platform has labels for it."""
    first = nodes[0]
    row = PLATFORMS[first.platform]
    selector = {first.found_by: first.group} if first.found_by else {}
    if base != first.group and row.pool in first.labels:
        selector[row.pool] = first.labels[row.pool]
    if first.machine and len({node.machine for node in group}) > 1:
        selector[MACHINE] = first.machine
    if first.spot_mark:
        selector[first.spot_mark[0]] = first.spot_mark[1]
    elif several and row.on_demand and first.labels.get(row.on_demand[0]) == row.on_demand[1]:
        selector[row.on_demand[0]] = row.on_demand[1]
    return selector


def _confusable(node: Node, nodes: Sequence[Node], selector: Mapping[str, str]) -> bool:
    """Return True if pods for `nodes` could land on `node` too, which is another kind of machine.

    Another size alone does no harm: the scheduler sees whether a pod fits.
    """
    first = nodes[0]
    reached = selector.items() <= node.labels.items() and (node.os, node.arch) == (first.os, first.arch)
    if not reached or not set(own_taints(node.platform, node.taints)) <= set(first.taints):
        return False
    return any(
        trait(node) != trait(first)
        for trait in (
            lambda each: (each.offers.gpus > 0, each.gpu_type, sorted(each.offers.accelerators), each.accelerated),
            lambda each: each.control_plane,
            lambda each: each.spot_mark is not None,
        )
    )


def _telling_label(nodes: Sequence[Node], others: Sequence[Node]) -> dict[str, str]:
    """Return one label that all of `nodes` have and none of `others`; empty if there is none."""
    shared = set.intersection(*(set(node.labels.items()) for node in nodes))
    telling = [
        (key, value)
        for key, value in shared
        if key != HOST and value and all(node.labels.get(key) != value for node in others)
    ]
    known = [*PLATFORMS[nodes[0].platform].gpu_type, MACHINE]
    ordered = sorted(telling, key=lambda item: (known.index(item[0]) if item[0] in known else len(known), item))
    return dict(ordered[:1])
