"""Tracking: the rows of a run written to wandb and MLflow, by a process of its own that no training waits for."""
