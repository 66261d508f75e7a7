"""Objects of a run, rendered from its plan."""
