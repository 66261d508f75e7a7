"""Spans of a process's time: operations, the resources that they use, and how they travel to the run."""
