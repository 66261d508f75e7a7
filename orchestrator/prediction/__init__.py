"""Predictions of a run's speed before it starts: calibrations, and a queueing model of its graph."""
