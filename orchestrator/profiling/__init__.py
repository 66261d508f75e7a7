"""Profiles of runs: asking for one, merging what the processes recorded, and the reports."""
