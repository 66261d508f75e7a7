"""Evolution strategies (Salimans et al. 2017) and augmented random search (Mania et al. 2018).

One graph and one loop for both: workers evaluate perturbed policies and send seeds' returns, the master reconstructs
the perturbations and steps. What differs is how returns become weights (`rules.py`) and how a step is taken.
"""
