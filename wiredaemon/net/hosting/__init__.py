"""What is served at which path, to whom, under which settings."""
