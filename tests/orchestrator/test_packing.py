"""How many machines processes need, against a brute-force oracle."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surreal.orchestrator.plan.bin_packing import Load, Size, pack

MANY = 10**6


def optimum(sizes: list[Size], fresh: Size) -> int:
    """The least number of machines, by trying every way to split the processes (dynamic programming over subsets)."""
    count = len(sizes)
    fits = [
        all(sum(sizes[i][kind] for i in range(count) if subset >> i & 1) <= fresh[kind] for kind in range(len(fresh)))
        for subset in range(1 << count)
    ]
    least = [0] + [MANY] * ((1 << count) - 1)
    for subset in range(1, 1 << count):
        first = subset & -subset
        rest = subset
        while rest:
            if rest & first and fits[rest]:
                least[subset] = min(least[subset], 1 + least[subset ^ rest])
            rest = (rest - 1) & subset
    return least[-1]


def loads(sizes: list[Size]) -> list[Load]:
    return [Load(f"role-{index}", 1, size) for index, size in enumerate(sizes)]


def small_case(seed: int) -> tuple[list[Size], Size]:
    draw = random.Random(seed)
    fresh = (draw.randint(4, 16), draw.randint(4, 32), draw.choice([0, 0, 4]))
    kinds = [
        (draw.randint(1, fresh[0]), draw.randint(1, fresh[1]), draw.randint(0, fresh[2]))
        for _ in range(draw.randint(1, 4))
    ]
    return [draw.choice(kinds) for _ in range(draw.randint(1, 8))], fresh


def test_small_cases_need_no_more_machines_than_the_best_of_all_ways() -> None:
    for seed in range(600):
        sizes, fresh = small_case(seed)
        packing = pack(loads(sizes), [], fresh, MANY)
        assert (packing.nodes_added, packing.left) == (optimum(sizes, fresh), {}), f"case {seed}: {sizes} into {fresh}"


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 40), st.integers(0, 5), st.integers(0, 6))
def test_no_machine_holds_more_than_it_has_and_nothing_is_lost(seed: int, times: int, there: int, limit: int) -> None:
    sizes, fresh = small_case(seed)
    demand = [Load(load.name, times, load.size) for load in loads(sizes)]
    packing = pack(demand, [(there, fresh)], fresh, limit)
    assert packing.nodes_now <= there
    assert packing.nodes_added <= limit
    for load in demand:
        assert packing.placed.get(load.name, 0) + packing.left.get(load.name, 0) == times
    for where, nodes in ((packing.now, packing.nodes_now), (packing.added, packing.nodes_added)):
        taken = [sum(where.get(load.name, 0) * load.size[kind] for load in demand) for kind in range(3)]
        assert all(amount <= nodes * has for amount, has in zip(taken, fresh, strict=True))
    if packing.left:
        # a machine more would have taken one more
        assert packing.nodes_added == limit


def test_what_is_there_is_used_before_anything_is_added() -> None:
    packing = pack([Load("actor", 10, (1, 1))], [(2, (3, 9)), (1, (0, 9))], (4, 4), MANY)
    assert (packing.now, packing.added) == ({"actor": 6}, {"actor": 4})
    assert (packing.nodes_now, packing.nodes_added) == (2, 1)


def test_small_processes_fill_what_large_ones_leave() -> None:
    packing = pack([Load("learner", 3, (5, 0)), Load("actor", 9, (1, 0))], [], (8, 1), MANY)
    assert packing.nodes_added == 3


def test_first_fit_that_is_one_too_many_is_improved_where_the_case_is_small() -> None:
    # first-fit decreasing needs three machines of 10 for these: 5+3, 3+2+2 ... and two hold them
    sizes: list[Size] = [(5,), (3,), (3,), (3,), (2,), (2,), (2,)]
    assert sum(size[0] for size in sizes) == 20
    assert pack(loads(sizes), [], (10,), MANY).nodes_added == 2


def test_what_fits_no_machine_is_left() -> None:
    assert pack([Load("actor", 3, (9, 1))], [], (8, 8), MANY).left == {"actor": 3}
    assert pack([Load("actor", 3, (1, 0, 1))], [], (8, 8, 0), MANY).left == {"actor": 3}


@pytest.mark.parametrize("count", [10_000, 1_000_000])
def test_a_crowd_takes_no_longer_than_a_few(count: int) -> None:
    packing = pack(
        [Load("actor", count, (1000, 2)), Load("evaluator", count, (500, 1))], [(count, (7, 1))], (7410, 64), MANY
    )
    assert packing.nodes_added >= count * 1500 // 7410
