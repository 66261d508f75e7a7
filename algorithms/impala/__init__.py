"""IMPALA (Espeholt et al. 2018, arXiv:1802.01561): actors never wait, and the learner corrects for it by V-trace."""
