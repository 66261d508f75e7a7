"""Compilation in the background: loops that numba compiles, or loads from the disk, while the first data is made."""

from collections.abc import Callable
from logging import getLogger
from threading import Thread
from time import perf_counter
from typing import Generic, TypeVar

log = getLogger(__name__)
Loaded = TypeVar("Loaded")
"""Modules of loops, or whatever else says that they are ready."""
LONG_SECONDS = 5.0
"""Time to compile that is worth a line."""


class Compiler(Generic[Loaded]):
    """Thread that has loops compiled. Where numba cannot, one line in the log says so, and numpy computes.

    Importing numba takes half a second, loading what lies on the disk another, compiling anew some seconds more. A run
    waits for it before its first update, so that it never changes its arithmetic midway.
    """

    def __init__(self, load: Callable[[], Loaded]) -> None:
        """Call `load`, which imports loops and calls each of them once, so that numba compiles them."""
        self._load = load
        self._loaded: Loaded | None = None
        self._thread: Thread | None = Thread(target=self._compile, name="compile", daemon=True)
        self._thread.start()

    def loaded(self) -> Loaded | None:
        """Return what `load` returned, once it has; None where numba does not compile here."""
        self._wait_for_compiler()
        return self._loaded

    # Where it takes long, `surreal status` shows this name: the first run of a machine compiles for half a minute.
    def _wait_for_compiler(self) -> None:
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _compile(self) -> None:
        """Note what was loaded; the thread ends with it, whatever goes wrong."""
        began = perf_counter()
        try:
            self._loaded = self._load()
        except Exception as error:  # numba raises its own for each of its troubles, and ImportError for a new numpy
            log.warning("numba does not compile here, so numpy computes the gradients: %s", str(error).split("\n")[0])
            return
        if (seconds := perf_counter() - began) > LONG_SECONDS:
            log.info("compiled the learner's loops in %.0f s; they are kept on disk for other runs", seconds)
