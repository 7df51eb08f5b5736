"""Chaos runs: real processes, a plan from a seed, faults of many kinds, and a comparison of everything at the end.

``python -m ops.chaos --objects 200 --seed 1 --minutes 2``. ``docs/explanation/reliability.md`` says what is promised.
"""
