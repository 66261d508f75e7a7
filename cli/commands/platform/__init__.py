"""Verbs about machines, clusters and this installation."""
