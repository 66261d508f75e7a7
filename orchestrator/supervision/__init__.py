"""Common parts of the supervisors of runs: the record, the logs, the judgement of exits, and the end of a run."""
