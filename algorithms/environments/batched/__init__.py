"""Stepping the copies of a MuJoCo environment together, bit for bit as gymnasium steps each."""
