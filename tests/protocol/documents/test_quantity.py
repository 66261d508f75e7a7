"""Kubernetes quantities of CPU and memory."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surreal.protocol.documents.quantity import format_memory, parse_cpu, parse_memory


@pytest.mark.parametrize(("text", "cores"), [("500m", 0.5), ("2", 2.0), ("0.5", 0.5), ("1500m", 1.5), (3, 3)])
def test_cpu_is_cores_or_thousandths(text: str | int, cores: float) -> None:
    assert parse_cpu(text) == cores


@pytest.mark.parametrize(
    ("text", "size"),
    [("1Gi", 2**30), ("512Mi", 2**29), ("1.5Gi", 3 * 2**29), ("1G", 10**9), ("10k", 10_000), ("1000", 1000), (7, 7)],
)
def test_memory_is_bytes_with_a_binary_or_decimal_unit(text: str | int, size: int) -> None:
    assert parse_memory(text) == size


@pytest.mark.parametrize("text", ["", "Gi", "1gi", "1 Gi", "-1Gi", "1e3Gi", "lots", "1GiB", "٣Gi", "1Gi\n", "9" * 500])
def test_other_texts_are_no_memory(text: str) -> None:
    with pytest.raises(ValueError, match="such as 512Mi"):
        parse_memory(text)


@pytest.mark.parametrize("text", ["", "m", "1.5.2", "-1", "1x", "1e3", "500mm", "1\n"])
def test_other_texts_are_no_cpu(text: str) -> None:
    with pytest.raises(ValueError, match="such as 2, 0.5 or 500m"):
        parse_cpu(text)


@given(st.integers(min_value=1, max_value=2**50))
def test_memory_is_written_exactly(size: int) -> None:
    assert parse_memory(format_memory(size)) == size
