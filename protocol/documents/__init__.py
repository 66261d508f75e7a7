"""Documents that people write: strict YAML, models, and errors that name file, line and key."""
