"""Evolution strategies: time to a mark, rates, and the workers that one master serves."""
