"""The process that a pod would run for `exec`, run here on pipes in place of the connection to a pod."""

import json
import os
import select
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from surreal.provisioner.kube.websocket import OUTCOME, STDERR, STDIN, STDOUT, ClosedError


class Pipes:
    """What a `PodSocket` is, to a process of this machine."""

    def __init__(self, command: Sequence[str]) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)

    def send(self, channel: int, data: bytes) -> None:
        """To its stdin."""
        assert channel == STDIN and self.process.stdin
        try:
            self.process.stdin.write(data)
            self.process.stdin.flush()
        except (OSError, ValueError):
            raise ClosedError("the connection is lost") from None

    def receive(self, seconds: float | None = None) -> tuple[int, bytes]:
        """From its stdout or stderr, or how it ended."""
        assert self.process.stdout and self.process.stderr
        if self.process.stdout.closed:
            raise ClosedError("the connection is lost")
        outputs = {self.process.stdout.fileno(): STDOUT, self.process.stderr.fileno(): STDERR}
        while outputs:
            ready = select.select(list(outputs), [], [], seconds)[0]
            if not ready:
                raise TimeoutError("nothing came")
            data = os.read(ready[0], 65536)
            if data:
                return outputs[ready[0]], data
            del outputs[ready[0]]
        code = str(self.process.wait())
        return OUTCOME, json.dumps({"status": "Failure", "message": f"ended with {code}"}).encode()

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert pipe
            with suppress(OSError):
                pipe.close()


def reading(folder: Path) -> Pipes:
    """The process that reads a run folder."""
    return Pipes([sys.executable, "-P", "-m", "surreal.protocol.worker.file_server", str(folder)])
