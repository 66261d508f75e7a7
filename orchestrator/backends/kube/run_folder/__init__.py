"""The run folder, read from outside its pod."""
