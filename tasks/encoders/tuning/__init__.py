"""Measures the runtimes and sizes of an encoder on this machine, and remembers the fastest that is exact enough."""
