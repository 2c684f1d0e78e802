"""The worker program: the only part that imports Mercurial."""
