"""Autoscaling: how many actors a run needs, decided from what its processes wait for; the same on every backend."""
