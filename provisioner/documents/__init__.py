"""Documents that a person writes: strict YAML, quantities, and errors that name file, line, key and what is allowed."""
