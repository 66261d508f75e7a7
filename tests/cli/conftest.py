"""Fixtures of this layer's tests."""

from tests.orchestrator.runs import place

__all__ = ["place"]
