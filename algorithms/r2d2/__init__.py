"""R2D2: recurrent values learned from replayed sequences (Kapturowski et al. 2019)."""
