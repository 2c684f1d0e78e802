"""Runs the commands of one connection and sends what they return; the same for every transport."""
