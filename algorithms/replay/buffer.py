"""Replay buffer of one shard: fragments in, items out. It moves no data between processes."""

from collections.abc import Mapping
from logging import getLogger
from math import ceil
from typing import Any

import numpy as np

from surreal.algorithms.replay.config import SPARE_BYTES, ReplaySettings
from surreal.algorithms.replay.fragment import (
    Field,
    MisfitError,
    Placement,
    Schema,
    check_flags,
    finals,
    frame_ages,
    n_step_returns,
    place,
)
from surreal.algorithms.replay.layout import FIRST, FLAG, MASK, NEXT, RESERVED, REWARD, batch_layout, is_state
from surreal.algorithms.replay.ring import Ring
from surreal.algorithms.replay.samplers import Drawn, Sampler, make_sampler
from surreal.algorithms.types import Array, Int
from surreal.protocol.documents.quantity import format_memory
from surreal.protocol.errors import Fatal
from surreal.protocol.wire.packet import Message

log = getLogger(__name__)
AHEAD, AGE = "_ahead", "_age"
"""Arrays of rows that no batch has: rows to the next observation, and earlier frames of the same episode."""
TREE_BYTES = 25
"""Bytes of an item beside its rows: where it begins, its priority and the sums above it."""


class ReplayBuffer:
    """Rows, items and counters of one shard. Arrays are allocated when the first fragment tells their types."""

    def __init__(self, settings: ReplaySettings, rng: np.random.Generator, budget: int = 0) -> None:
        """Make an empty buffer. `budget`: bytes that the process may use; 0 for no bound."""
        self.settings, self._rng, self._budget = settings, rng, budget
        self.schema: Schema | None = None
        self.layout: dict[str, Field] = {}
        self.ring = Ring({}, 1, 1)
        self.states: dict[str, Array] = {}
        """Recurrent states [max_items, ...] at the begin of the items."""
        self.sampler: Sampler = make_sampler(settings, 1, rng)
        self.senders: dict[str, tuple[int, int]] = {}
        """Sender -> incarnation and number of the last fragment that was taken in."""
        self._form: tuple[Any, ...] = ()
        """Names, types and shapes of the last fragment without a truncated step; its rows are those of all like it."""
        self._usual: tuple[Placement, Int]
        self.steps = 0
        """Steps inserted so far."""
        self.doubles = 0
        """Fragments that had been taken in before."""

    @property
    def items(self) -> int:
        """Number of the items that can be drawn."""
        return self.ring.items

    def insert(self, message: Message) -> int:
        """Take in a fragment; return its number of steps, 0 for a repetition.

        Raises MisfitError for what is no fragment or has another schema. Raises Fatal where the first one shows that
        the capacity does not fit into the budget.
        """
        if (message.incarnation, message.seq) <= self.senders.get(message.sender, (-1, -1)):
            self.doubles += 1
            return 0
        arrays = message.arrays
        placement, starts = self._placed(arrays)
        values, last = self._row_values(arrays)
        self._make_room(placement.rows, len(starts))
        self._write(values, last, placement, starts)
        self.senders[message.sender] = (message.incarnation, message.seq)
        self.steps += arrays["rewards"].size
        return int(arrays["rewards"].size)

    def append(self, rows: Mapping[str, Array], starts: Int, states: Mapping[str, Array], priorities: Array) -> None:
        """Append a block as a snapshot had it: its rows, those at which items begin, and their states."""
        first, count = self.ring.next_item, len(next(iter(rows.values())))
        self._make_room(count, len(starts))
        block = self.ring.append(count, starts)
        for name, array in self.ring.arrays.items():
            array[block] = rows[name]
        for name, state in self.states.items():
            state[np.arange(first, self.ring.next_item) % self.ring.max_items] = states[name]
        self.sampler.restore(first, priorities)

    def draw(self, count: int) -> Drawn:
        """Draw `count` items with replacement. Raises ValueError where there are none."""
        return self.sampler.draw(count, self.ring.first_item, self.ring.next_item)

    def fill(self, items: Int, out: Mapping[str, Array]) -> None:
        """Copy items [n] into the arrays [n, ...] of a batch, named and typed as `layout` has them, in C order."""
        rows = self.ring.rows_of(items)
        if self.settings.replay.sequence_length:
            self._fill_sequences(items, rows, out)
        else:
            self._fill_transitions(rows, out)

    def batch(self, count: int) -> tuple[Drawn, dict[str, Array]]:
        """Draw `count` items; return them and new arrays with them."""
        drawn = self.draw(count)
        out = {name: np.empty((count, *field.shape), field.dtype) for name, field in self.layout.items()}
        self.fill(drawn.items, out)
        return drawn, out

    def _fill_transitions(self, rows: Int, out: Mapping[str, Array]) -> None:
        assert self.schema is not None
        following = rows + self.ring.arrays[AHEAD][rows]
        for name in (*self.schema.steps, "rewards", "discounts"):
            self.ring.take(name, rows, out[name])
        for name, field in self.schema.observations.items():
            self._take_observations(name, field, rows, out[name])
            self._take_observations(name, field, following, out[NEXT + name])

    def _fill_sequences(self, items: Int, rows: Int, out: Mapping[str, Array]) -> None:
        assert self.schema is not None
        every = rows[:, None] + np.arange(self.settings.length + 1)
        steps = every[:, :-1]
        for name in (*self.schema.steps, "rewards", "discounts", MASK):
            if is_state(name):
                out[name][...] = self.states[name][items % self.ring.max_items]
            else:
                self.ring.take(name, steps, out[name])
        self.ring.take(FIRST, every, out[FIRST])
        for name, field in self.schema.observations.items():
            self._take_observations(name, field, every, out[name])

    def _take_observations(self, name: str, field: Field, rows: Int, out: Array) -> None:
        """Copy whole observations of `rows` [...]; those of stacks from the rows of their frames."""
        if field.stack > 1:
            back = np.arange(field.stack - 1, -1, -1)
            ages = self.ring.arrays[AGE][rows]
            rows = rows[..., None] - np.minimum(back, ages[..., None])
        self.ring.take(name, rows, out)

    def allocate(self, schema: Schema) -> None:
        """Allocate the arrays of a schema. Raises MisfitError and Fatal as `insert` does."""
        taken = sorted({*schema.observations, *schema.steps} & set(RESERVED))
        if taken:
            raise MisfitError(f"an array must not be called {taken[0]!r}: batches have one of that name")
        fields, settings = row_fields(schema, self.settings), self.settings
        # an item more where the last sequence of a fragment begins between two strides
        most = settings.capacity if settings.stride == 1 else 2 * ceil(settings.capacity / settings.stride)
        self._check_budget(fields, most)
        self.ring = Ring(fields, settings.capacity, most)
        self.states = {
            name: np.zeros((most, *field.shape), field.dtype) for name, field in schema.steps.items() if is_state(name)
        }
        self.sampler = make_sampler(settings, most, self._rng)
        self.schema, self.layout = schema, batch_layout(schema, settings)

    def _check_budget(self, fields: Mapping[str, Field], items: int) -> None:
        capacity, shards = self.settings.capacity, self.settings.shards
        row = sum(field.nbytes for field in fields.values()) + TREE_BYTES * items / capacity
        room = self._budget - SPARE_BYTES
        if not self._budget or row * capacity <= room:
            return
        largest = sorted(fields, key=lambda name: -fields[name].nbytes)[:1]
        asked = format_memory(ceil((row * capacity + SPARE_BYTES) / 2**20) * 2**20)
        raise Fatal(
            f"replay.capacity: {self.settings.replay.capacity} does not fit: a step takes {row:,.0f} bytes (the most "
            f"{largest[0]!r}), and {capacity:,} of them on each of {shards} shards need {asked}. "
            f"Set roles.replay.resources.memory to {asked}, or a capacity of {max(0, int(room / row)) * shards:,}."
        )

    def _make_room(self, rows: int, items: int) -> None:
        before = self.ring.first_item
        self.ring.make_room(rows, items)
        self.sampler.dropped(before, self.ring.first_item)

    def _placed(self, arrays: Mapping[str, Array]) -> tuple[Placement, Int]:
        """Return the rows of a fragment, and those at which items begin. Raises as `insert` does."""
        form = tuple((name, array.dtype.char, array.shape) for name, array in arrays.items())
        if form == self._form and not arrays["truncated"].any():
            check_flags(arrays)
            return self._usual
        schema = Schema.of(arrays)
        if self.schema is None:
            self.allocate(schema)
        assert self.schema is not None
        if difference := self.schema.difference(schema):
            raise MisfitError(f"{difference}: its schema is another one")
        placement = place(arrays["truncated"], schema.stack)
        starts = self._starts(placement)
        if not len(placement.finals):
            self._form, self._usual = form, (placement, starts)
        return placement, starts

    def _starts(self, placement: Placement) -> Int:
        """Return the rows at which the items of a fragment begin."""
        if not self.settings.replay.sequence_length:
            return np.ascontiguousarray(placement.observations[:-1].T).reshape(-1)
        return sequence_starts(placement, self.settings.length, self.settings.stride)

    def _write(self, values: Mapping[str, Array], last: Mapping[str, Array], placement: Placement, starts: Int) -> None:
        """Write a fragment into the ring as one block, for which there is room."""
        first = self.ring.next_item
        block = self.ring.append(placement.rows, starts)
        for name, array in self.ring.arrays.items():
            write_rows(array[block], values[name], placement, last.get(name))
        own = placement.observations.T.reshape(-1)
        for name, state in self.states.items():
            # a sequence that begins with a final observation has any state: the next row is the first of an episode
            copies, steps = np.divmod(np.searchsorted(own, starts, side="right") - 1, len(placement.observations))
            state[np.arange(first, self.ring.next_item) % self.ring.max_items] = values[name][steps, copies]
        self.sampler.added(first, self.ring.next_item)

    def _row_values(self, arrays: Mapping[str, Array]) -> tuple[dict[str, Array], dict[str, Array]]:
        """Return the values of every array of rows, each [T or more, C, ...], and those of final rows [k, ...]."""
        assert self.schema is not None
        settings, done = self.settings, arrays["terminated"] | arrays["truncated"]
        sequences = settings.replay.sequence_length > 0
        returns = n_step_returns(
            arrays["rewards"],
            arrays["terminated"],
            arrays["truncated"],
            1 if sequences else settings.n_step,
            settings.gamma,
        )
        last = dict(finals(arrays, self.schema))
        values: dict[str, Array] = {**arrays, "rewards": returns.rewards, "discounts": returns.discounts}
        if sequences:
            first = np.zeros((len(done) + 1, done.shape[1]), dtype=np.bool_)
            first[1:] = done
            values |= {FIRST: first, MASK: np.ones(done.shape, dtype=np.bool_)}
        else:
            values[AHEAD] = returns.ahead
        if self.schema.stack > 1:
            ages = values[AGE] = frame_ages(done, self.schema.stack)
            last[AGE] = np.minimum(ages[:-1][arrays["truncated"]] + 1, self.schema.stack - 1)
        return values, last


def row_fields(schema: Schema, settings: ReplaySettings) -> dict[str, Field]:
    """Return the arrays of rows that a shard keeps of fragments of a schema."""
    fields = {name: Field(field.dtype, field.shape) for name, field in schema.observations.items()}
    fields |= {name: field for name, field in schema.steps.items() if not is_state(name)}
    fields |= {"rewards": REWARD, "discounts": REWARD}
    if settings.replay.sequence_length:
        fields |= {FIRST: FLAG, MASK: FLAG}
    else:
        fields[AHEAD] = Field(np.dtype(np.uint16), ())
    if schema.stack > 1:
        fields[AGE] = Field(np.dtype(np.uint8), ())
    return fields


def sequence_starts(placement: Placement, length: int, stride: int) -> Int:
    """Return the rows at which sequences begin: every `stride` rows of a copy, and where its last one just fits.

    Raises MisfitError for a fragment that is shorter than a sequence.
    """
    found = []
    for own in placement.observations.T:
        last = own[-1] - length
        if last < own[0]:
            raise MisfitError(f"its {len(own) - 1} steps are fewer than the {length} of a sequence")
        starts = np.append(np.arange(own[0], last, stride), last)
        found.append(starts)
    return np.concatenate(found)


def write_rows(rows: Array, values: Array, placement: Placement, final: Array | None) -> None:
    """Write `values` [T + k, C, ...] of every copy to the `rows` [n, ...] of its block; zeros where it has none.

    The first of them is that of the last row of the copy's first stack, or k - 1 rows before it for frames of stacks.
    """
    steps, copies = len(placement.observations) - 1, placement.observations.shape[1]
    before = max(0, len(values) - steps - 1)
    context = int(placement.observations[0, 0] - placement.starts[0])
    if not len(placement.finals):
        whole = rows.reshape(copies, context + steps + 1, *rows.shape[1:])
        begin, end = context - before, context - before + len(values)
        whole[:, :begin], whole[:, end:] = 0, 0
        whole[:, begin:end] = values.swapaxes(0, 1)
        return
    rows[...] = 0
    own = placement.observations[: len(values) - before]
    earlier = placement.observations[0] + np.arange(-before, 0)[:, None]
    rows[np.concatenate([earlier, own])] = values
    if final is not None:
        rows[placement.finals] = final
