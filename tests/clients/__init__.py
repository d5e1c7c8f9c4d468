"""Published clients, each in an environment of its own, against one real server."""
