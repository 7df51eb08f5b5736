"""Benchmarks: each prints a table for people, and with ``--json`` everything with its conditions."""
