"""Environments alone: steps of one core, and trajectories of two mujoco releases."""
