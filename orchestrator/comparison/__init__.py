"""Comparison of runs: curves, statistics over seeds, tables, plots and files."""
