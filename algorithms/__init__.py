"""Learning: environments, networks, losses, and the code of each role.

`registry` is the light description of every algorithm (roles, channels, config) and imports neither
torch nor gymnasium; the role code is imported only inside the process that runs it.
Must not be here: where a process runs, how it is restarted, what a cluster is.
"""
