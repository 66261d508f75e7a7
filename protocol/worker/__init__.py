"""Worker process of a role. This file stays empty: signals are blocked before anything else is imported."""
