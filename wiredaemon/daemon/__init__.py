"""Configuration, wiring, the ``twistd`` options and the command line."""
