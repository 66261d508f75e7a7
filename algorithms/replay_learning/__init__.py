"""Learning from replay: the learner and the counters that all its algorithms share."""
