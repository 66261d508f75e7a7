"""Several learners of one run that learn as one: what they exchange, and how they come together."""
