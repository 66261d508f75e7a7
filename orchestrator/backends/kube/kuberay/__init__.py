"""Runs that KubeRay starts: a RayJob whose worker groups are the roles, with the Ray backend inside of it."""
