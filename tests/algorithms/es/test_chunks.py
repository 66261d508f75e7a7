"""Who evaluates what: everything, by everybody who is left, and in an open generation nothing twice."""

from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from surreal.algorithms.es.chunks import open_chunks, others_chunks, own_chunks


@given(st.integers(1, 8), st.integers(0, 40), st.integers(0, 12))
def test_any_worker_alone_covers_a_fixed_generation_once(workers: int, chunks: int, worker: int) -> None:
    visited = [*own_chunks(worker, workers, chunks), *others_chunks(worker, workers, chunks)]
    assert sorted(visited) == list(range(chunks))


@given(st.integers(1, 8), st.integers(0, 40))
def test_shares_are_even_and_nobodys_is_anothers(workers: int, chunks: int) -> None:
    shares = [list(own_chunks(worker, workers, chunks)) for worker in range(workers)]
    assert sorted(chunk for share in shares for chunk in share) == list(range(chunks))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_in_an_open_generation_no_two_starts_of_any_workers_have_the_same_chunk() -> None:
    starts = [(worker, incarnation) for worker in (0, 1, 4000) for incarnation in (1, 2, 9)]
    chunks = [chunk for start in starts for chunk in islice(open_chunks(*start), 50)]
    assert len(set(chunks)) == len(chunks)
    assert max(chunks) < 2**40
