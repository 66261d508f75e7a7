"""Machines that a set of processes needs: first-fit decreasing, and the least number exactly where they are few.

Several resources at once (vector bin packing). Equal processes and equal machines are handled together, so that ten
thousand of each take no longer than ten.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from operator import le, sub

Size = tuple[int, ...]
"""An amount of each resource, always in the same order and units."""

FEW = 12
"""Processes, and machines that are there, up to which the least number of machines is searched for."""
SEARCH_STEPS = 20_000
"""Placements that are tried before first-fit's answer stands."""


@dataclass(frozen=True)
class Load:
    """`count` equal processes."""

    name: str
    count: int
    size: Size


@dataclass
class Bins:
    """`count` equal machines with `room` left on each."""

    count: int
    room: Size
    fresh: bool = False
    """Not there yet."""
    used: bool = False


@dataclass
class Packing:
    """Machines of the loads of one pool; counts by the load's name."""

    now: dict[str, int] = field(default_factory=dict)
    """On machines that are there."""
    added: dict[str, int] = field(default_factory=dict)
    """On machines that must come."""
    left: dict[str, int] = field(default_factory=dict)
    """Nowhere, not even on as many machines as there may be."""
    nodes_now: int = 0
    """Machines that are there and get a process."""
    nodes_added: int = 0
    """Machines that must come."""

    @property
    def placed(self) -> dict[str, int]:
        """Role -> number of its processes placed on any machine."""
        return {name: self.now.get(name, 0) + self.added.get(name, 0) for name in {**self.now, **self.added}}


def pack(loads: Sequence[Load], there: Sequence[tuple[int, Size]], fresh: Size, limit: int) -> Packing:
    """Put `loads` on machines that are `there` (so many, with so much room each) and on up to `limit` more.

    `fresh` is the room of a machine that comes. Of one resource at most 11/9 of the optimum and 6/9 of a machine
    (Dosa 2007); the optimum itself for a few processes, where it is found within SEARCH_STEPS.
    """
    ordered = sorted(loads, key=lambda load: (-_share(load.size, fresh), load.name))
    packing = _first_fit(ordered, there, fresh, limit)
    few = sum(load.count for load in loads) <= FEW and sum(count for count, _ in there) <= FEW
    if packing.nodes_added > 1 and not packing.left and few:
        return _fewest(ordered, there, fresh, packing)
    return packing


def _share(size: Size, room: Size) -> float:
    """Return the largest part of a machine that one process takes of any resource."""
    return max(asked / has if has else float(asked > 0) for asked, has in zip(size, room, strict=True))


def _fits(size: Size, room: Size) -> bool:
    return all(map(le, size, room))


def _times(size: Size, room: Size) -> int:
    """Return how many processes of `size` one machine takes."""
    return min(has // asked for asked, has in zip(size, room, strict=True) if asked > 0)


def _less(room: Size, size: Size, times: int = 1) -> Size:
    return tuple(map(sub, room, (times * asked for asked in size)))


def _first_fit(ordered: Sequence[Load], there: Sequence[tuple[int, Size]], fresh: Size, limit: int) -> Packing:
    packing = Packing()
    bins = [Bins(count, room) for count, room in there]
    for load in ordered:
        left = load.count
        filled: list[Bins] = []
        for each in bins:
            count, parts = _fill(each, load.size, left)
            left -= count
            filled += parts
            _count(packing.added if each.fresh else packing.now, load.name, count)
        times = _times(load.size, fresh)
        opened = min(limit - packing.nodes_added, -(-left // times)) if times else 0
        if left and opened:
            packing.nodes_added += opened
            count, parts = _fill(Bins(opened, fresh, fresh=True), load.size, left)
            left -= count
            filled += parts
            _count(packing.added, load.name, count)
        _count(packing.left, load.name, left)
        bins = filled
    packing.nodes_now = sum(each.count for each in bins if each.used and not each.fresh)
    return packing


def _fill(bins: Bins, size: Size, left: int) -> tuple[int, list[Bins]]:
    """Put up to `left` processes on equal machines, one after the other: how many, and the machines after it."""
    times = _times(size, bins.room)
    if not times or not left:
        return 0, [bins]
    full, rest = divmod(left, times)
    full = min(full, bins.count)
    rest = rest if full < bins.count else 0
    parts = [(full, times), (int(rest > 0), rest), (bins.count - full - int(rest > 0), 0)]
    return full * times + rest, [
        Bins(count, _less(bins.room, size, each), bins.fresh, bins.used or each > 0) for count, each in parts if count
    ]


def _count(where: dict[str, int], name: str, count: int) -> None:
    if count:
        where[name] = where.get(name, 0) + count


def _fewest(ordered: Sequence[Load], there: Sequence[tuple[int, Size]], fresh: Size, packing: Packing) -> Packing:
    """Return `packing`, or one that adds fewer machines."""
    rooms = [room for count, room in there for _ in range(count)]
    sizes = [load.size for load in ordered for _ in range(load.count)]
    names = [load.name for load in ordered for _ in range(load.count)]
    steps = iter(range(SEARCH_STEPS))
    for added in range(_at_least(sizes, rooms, fresh), packing.nodes_added):
        homes = _search(sizes, [*rooms, *[fresh] * added], steps)
        if homes is not None:
            return _packing(names, homes, len(rooms))
    return packing


def _at_least(sizes: Sequence[Size], rooms: Sequence[Size], fresh: Size) -> int:
    """Return machines that must come by the sums alone."""
    kinds = range(len(fresh))
    missing = [sum(size[kind] for size in sizes) - sum(room[kind] for room in rooms) for kind in kinds]
    return max(0, *(-(-missing[kind] // fresh[kind]) for kind in kinds if fresh[kind]))


def _search(sizes: Sequence[Size], rooms: list[Size], steps: Iterator[int]) -> list[int] | None:
    """Return the index of a machine for each process, depth first; None when there is none or the steps are used up."""
    if not sizes:
        return []
    tried = set()
    for index, room in enumerate(rooms):
        # of equal machines only one needs to be tried
        if room in tried or not _fits(sizes[0], room):
            continue
        if next(steps, None) is None:
            return None
        tried.add(room)
        rest = _search(sizes[1:], [*rooms[:index], _less(room, sizes[0]), *rooms[index + 1 :]], steps)
        if rest is not None:
            return [index, *rest]
    return None


def _packing(names: Sequence[str], homes: Sequence[int], there: int) -> Packing:
    packing = Packing()
    for name, home in zip(names, homes, strict=True):
        _count(packing.now if home < there else packing.added, name, 1)
    packing.nodes_now = len({home for home in homes if home < there})
    packing.nodes_added = len({home for home in homes if home >= there})
    return packing
