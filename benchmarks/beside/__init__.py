"""Ours beside other libraries, in turns on one machine; their side is in peers/."""
