"""Benchmarks. Each prints a table, or with ``--json`` all figures and their conditions."""
