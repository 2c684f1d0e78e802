"""The site: the Resource tree and the factory of HTTP connections."""
