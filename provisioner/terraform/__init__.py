"""A Cluster -> the files of a Terraform (or OpenTofu) folder. Pure functions; nothing here runs anything."""
