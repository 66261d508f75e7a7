"""Export of policies: to files that other programs load."""
