"""The places where an experiment can run, one module each; `orchestrator.backend` finds them by name."""
