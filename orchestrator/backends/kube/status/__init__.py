"""The state of a run, computed from one snapshot of its objects."""
