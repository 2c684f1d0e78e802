"""Commands below a path of somebody else's Twisted site."""
