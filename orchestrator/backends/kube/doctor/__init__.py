"""Checks of a cluster before the first run."""
