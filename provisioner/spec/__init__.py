"""Models of the Cluster document, without any rule of a provider."""
