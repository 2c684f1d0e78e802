"""What tests and benchmarks share: another Mercurial to talk to, and repositories to talk about."""
