"""The bytes of a packet and their limits."""
