"""Speed of our own parts: acting, updates, networks, replay, sums of gradients, datasets."""
