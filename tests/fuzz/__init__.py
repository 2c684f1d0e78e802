"""Fuzz targets: input of peers, made up by chance and by what the code does with it.

``make fuzz`` runs them with atheris; ``test_corpora.py`` runs the kept inputs without it.
"""
