"""Creation, change and removal of a run's objects."""
