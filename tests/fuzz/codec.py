"""Coverage-guided fuzzing of the decoder, for as long as one likes:

    pip install atheris
    python tests/fuzz/codec.py FOLDER -max_total_time=3600 -timeout=1 -rss_limit_mb=256

FOLDER keeps what the fuzzer learns; honest packets are put there first. It ends with an error, and with the input that
caused it in a file, when decoding does anything but give packets or say Malformed.
"""

import struct
import sys
from importlib import import_module
from pathlib import Path

import atheris

sys.path.append(str(Path(__file__).parents[1] / "protocol" / "programs"))

with atheris.instrument_imports(include=["surreal.protocol"]):
    program = import_module("fuzz_codec")
    from surreal.protocol.wire.codec import MAGIC
    from surreal.protocol.wire.limits import PROTOCOL

LENGTH = struct.Struct("<I")
BEGINNING = MAGIC + bytes([PROTOCOL])
"""Of every header, which the fuzzer need not guess."""


def join(frames: list[bytes]) -> bytes:
    """A packet as one input."""
    header = frames[0].removeprefix(BEGINNING)
    return b"".join(LENGTH.pack(len(frame)) + frame for frame in (header, *frames[1:]))


def split(data: bytes) -> list[bytes]:
    """The frames of an input, what is left over as the last."""
    frames = []
    while len(data) > LENGTH.size:
        end = LENGTH.size + LENGTH.unpack_from(data)[0]
        frames.append(data[LENGTH.size : end])
        data = data[end:]
    header, *others = frames or [b""]
    return [BEGINNING + header, *others]


def main(arguments: list[str]) -> None:
    """Fuzz until told to stop by libFuzzer's options."""
    folder = Path(arguments[1])
    folder.mkdir(exist_ok=True)
    for number, packet in enumerate(program.seeds()):
        (folder / f"seed-{number}").write_bytes(join(packet))
    atheris.Setup(arguments, lambda data: program.attempt(split(data)))
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv)
