"""Rows that are encoded at once are the messages that they would be one by one; stacking is the way back."""

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from surreal.protocol.service.rows import encode_rows, stack
from surreal.protocol.wire.codec import encode_body
from surreal.protocol.wire.limits import CODES

DTYPES = st.sampled_from([dtype for dtype in CODES if dtype.names is None])
SHAPES = st.lists(st.integers(0, 40), max_size=3).map(tuple)
META = st.none() | st.dictionaries(st.text(max_size=5), st.integers(0, 9), max_size=2)


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(st.text("abc", max_size=3), st.tuples(DTYPES, SHAPES), max_size=3),
    st.integers(1, 5),
    META,
    st.data(),
)
def test_rows_are_what_they_would_be_alone(
    fields: dict[str, tuple[np.dtype[Any], tuple[int, ...]]],
    rows: int,
    meta: dict[str, int] | None,
    data: st.DataObject,
) -> None:
    noise = np.random.default_rng(data.draw(st.integers(0, 99)))
    arrays = {
        name: np.frombuffer(noise.bytes(rows * int(np.prod(shape)) * dtype.itemsize), dtype).reshape(rows, *shape)
        for name, (dtype, shape) in fields.items()
        if np.prod(shape) < 2000
    }
    messages = encode_rows("server/0", 3, (1, 2), meta, arrays, rows)
    alone = [{name: array[row, ...] for name, array in arrays.items()} for row in range(rows)]
    for message, each in zip(messages, alone, strict=True):
        expected = encode_body("server/0", 3, (1, 2), meta, each)
        assert (message.body, message.size) == (expected.body, expected.size)
        assert [frame.tobytes() for frame in message.frames] == [frame.tobytes() for frame in expected.frames]
    stacked = stack(alone)
    assert [(a.dtype, a.shape) for a in stacked.values()] == [(a.dtype, a.shape) for a in arrays.values()]
    assert all(stacked[name].tobytes() == array.tobytes() for name, array in arrays.items())
