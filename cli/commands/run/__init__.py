"""Verbs about a run."""
