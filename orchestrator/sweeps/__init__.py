"""Sweeps: one experiment with many values and seeds, run as a group."""
