"""The offline suite: tasks with datasets of stored seeds, scores, and the wall between tuning and held-out tasks."""
