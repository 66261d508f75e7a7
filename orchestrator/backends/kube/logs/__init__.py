"""Logs of pods and of the run folder, merged by time."""
