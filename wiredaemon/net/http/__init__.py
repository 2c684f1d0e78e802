"""HTTP: the Resource tree, and requests whose bodies are processed while they arrive."""
