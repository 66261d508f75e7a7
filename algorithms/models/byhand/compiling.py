"""Compilation in the background: loops that numba compiles, or loads from the disk, while the first data is made."""

from collections.abc import Callable
from logging import getLogger
from threading import Thread
from typing import Generic, TypeVar

from surreal.algorithms.devices import told

log = getLogger(__name__)
Loaded = TypeVar("Loaded")
"""Modules of loops, or whatever else says that they are ready."""
WHAT = "the gradients"
"""Name of them in the log and in the status."""


class Compiler(Generic[Loaded]):
    """Thread that has loops compiled. Where numba cannot, one line in the log says so, and numpy computes.

    Importing numba takes half a second, loading what lies on the disk another, compiling anew a dozen seconds of a free
    core. A run waits for it before its first update, so that it never changes its arithmetic midway.
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

    def _wait_for_compiler(self) -> None:
        """Wait for the thread, once. `surreal status` says meanwhile what is compiled, and for how long."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _compile(self) -> None:
        """Note what was loaded; the thread ends with it, whatever goes wrong."""
        try:
            with told(WHAT):
                self._loaded = self._load()
        except Exception as error:
            # numba raises its own for each of its troubles, and ImportError for a new numpy
            reason = str(error).split("\n")[0]
            log.warning("numba does not compile here, so numpy computes %s: %s", WHAT, reason)
