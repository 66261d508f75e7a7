"""Values of two layers with a generative model (Huang et al. 2021, Going Beyond Linear RL)."""
