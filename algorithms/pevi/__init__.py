"""Pessimistic value iteration for linear MDPs (Jin, Yang & Wang 2021), and instances that show what pessimism buys."""
