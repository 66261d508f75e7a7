"""Trained policies for others: files for other programs, windows and videos for people."""
