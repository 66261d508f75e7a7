"""Counters and gauges of a process, and the files and pages that show them."""
