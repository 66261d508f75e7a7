"""A run seen from outside: folder, status, usage, logs, wiring and code."""
