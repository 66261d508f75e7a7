"""Learning from datasets without an actor: cloning, and off-policy methods that stay near what was recorded."""
