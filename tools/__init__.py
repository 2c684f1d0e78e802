"""Tools that tests and benchmarks share: Mercurial 6.0, and made up repositories."""
