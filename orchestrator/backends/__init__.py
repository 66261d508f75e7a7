"""The places where an experiment can run, one folder each; `backends.base` finds them by name."""
