"""Pictures of terminals for the documents: `python -m tools.sessions` makes them anew."""
