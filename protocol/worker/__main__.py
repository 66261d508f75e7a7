"""The process that a backend starts: `python -P -m surreal.protocol.worker WIRING.json`.

Reads its wiring and plays its role; its exit status is an ExitCode.
"""

import signal
import sys


def main() -> int:
    """Run the worker; its exit status."""
    # as PID 1 a signal without a handler is lost, but one that is blocked waits: before imports, which take their time
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))
    from surreal.protocol.worker.start import start

    return start(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
