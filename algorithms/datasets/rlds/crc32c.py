"""CRC-32C (Castagnoli), and how TFRecord files write it: the standard library has another. Importing it loads numba."""

import numpy as np

from surreal.algorithms.devices import exact
from surreal.algorithms.types import Array

POLYNOMIAL, DELTA = 0x82F63B78, 0xA282EAD8
SLICES = 8
"""Bytes that a turn of the loop takes."""


def _tables() -> Array:
    """Return table k [256]: the checksum of each byte with k zero bytes behind it."""
    tables = np.zeros((SLICES, 256), dtype=np.uint32)
    tables[0] = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        tables[0] = tables[0] >> 1 ^ np.where(tables[0] & 1, np.uint32(POLYNOMIAL), np.uint32(0))
    for number in range(1, SLICES):
        tables[number] = tables[number - 1] >> 8 ^ tables[0][tables[number - 1] & 255]
    return tables


@exact
def _checksum(data: Array, tables: Array) -> np.uint32:
    crc, whole = np.uint32(0xFFFFFFFF), len(data) // SLICES * SLICES
    for start in range(0, whole, SLICES):
        mixed = np.uint32(0)
        for number in range(SLICES):
            byte = np.uint32(data[start + number])
            if number < 4:
                byte ^= (crc >> np.uint32(8 * number)) & np.uint32(255)
            mixed ^= tables[SLICES - 1 - number, byte]
        crc = mixed
    for number in range(whole, len(data)):
        crc = (crc >> np.uint32(8)) ^ tables[0, (crc ^ np.uint32(data[number])) & np.uint32(255)]
    return crc ^ np.uint32(0xFFFFFFFF)


TABLES = _tables()


def crc32c(data: bytes) -> int:
    """Return the checksum of `data`."""
    return int(_checksum(np.frombuffer(data, dtype=np.uint8), TABLES))


def masked(data: bytes) -> int:
    """Return the checksum as the files have it: rotated right by 15 bits, and a constant added."""
    found = crc32c(data)
    return ((found >> 15 | found << 17) + DELTA) & 0xFFFFFFFF
