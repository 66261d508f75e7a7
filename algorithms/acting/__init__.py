"""Parts that the actors of several algorithms share: weights, environments, returns of episodes, refusals."""
