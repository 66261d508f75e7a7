"""Actors of a run on Ray: the supervisor, and one host for each process."""
