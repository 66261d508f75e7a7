"""Commands and ports inside a run's pods."""
