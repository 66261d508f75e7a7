"""Guards of a run: the limits that end it, what it has used so far, and the word to a person that it is over."""
