"""Verbs about a trained policy."""
