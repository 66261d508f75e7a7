"""The live page of `surreal open`: runs, curves, processes, logs. Reads what every verb reads and changes nothing."""
