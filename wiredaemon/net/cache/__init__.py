"""Answers that are kept: responses on the disk, and copies of them at redirect targets."""
