"""Networks: encoders of observations, memory, heads, each for acting (numpy) and for learning (torch)."""
