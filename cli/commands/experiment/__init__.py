"""Verbs about an experiment file."""
