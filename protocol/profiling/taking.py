"""Profiles as one process takes part in them: the words at the control port, at either end."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from time import perf_counter_ns
from typing import Any

from surreal.protocol.machine import clock_name
from surreal.protocol.profiling.chunks import Chunk
from surreal.protocol.profiling.keeper import Keeper
from surreal.protocol.profiling.own import OwnProfile


@dataclass(eq=False)
class Profiling:
    """One process's part. Call `turn` from a thread with time for a disk, all else from the I/O thread."""

    own: OwnProfile
    incarnation: int
    keeps_in: str = ""
    """The run folder, where the profiles of all are kept by this process."""
    keeper: Keeper | None = field(default=None, init=False)
    """Made by the first `turn` where profiles are kept: it reads the disk."""

    def turn(self) -> None:
        """Look for a request, and write what has come, where the profiles are kept."""
        if self.keeps_in:
            self.keeper = self.keeper or Keeper(self.keeps_in)
            self.keeper.turn()

    def close(self) -> None:
        """End a profile that is kept here."""
        if self.keeper:
            self.keeper.close()

    def drain(self) -> Iterator[dict[str, Any]]:
        """Yield the words that go to the run; the process that keeps the profiles keeps its own at once."""
        if self.keeper:
            request = self.keeper.request
            if request:
                self.own.own_clock()
            self.own.obey(request.to_data() if request else None)
        for chunk in self.own.chunks():
            if self.keeper:
                self.keeper.take(self.own.process, self.incarnation, chunk)
            else:
                yield {"asked": perf_counter_ns(), "chunk": chunk.to_data()}

    def say(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the answer to a beat says of profiles: the request, and the time for one who asked."""
        request = self.keeper.request if self.keeper else None
        words: dict[str, Any] = {"profile": request.to_data(), "clock": clock_name()} if request else {}
        if type(asked.get("asked")) is int:
            words |= {"asked": asked["asked"], "time": perf_counter_ns()}
        return words

    def hear(self, process: str, incarnation: int, meta: Mapping[str, Any]) -> None:
        """Take in the chunk of a member. Raises ValueError for what is none."""
        if self.keeper and "chunk" in meta:
            self.keeper.take(process, incarnation, Chunk.parse(meta["chunk"]))

    def heard(self, said: Mapping[str, Any]) -> None:
        """Take in the answer of the run: whether a profile is taken, and its time."""
        if said.get("clock") == clock_name() != "":
            # A busy machine answers late, and its clock is the same nevertheless.
            self.own.own_clock()
        match said.get("asked"), said.get("time"):
            case int(asked), int(theirs):
                self.own.clock.add(asked, theirs, perf_counter_ns())
        self.own.obey(said.get("profile"))
