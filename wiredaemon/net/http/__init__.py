"""HTTP: the channel, requests whose bodies are processed while they arrive, and fixed responses."""
