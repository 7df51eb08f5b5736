"""Evaluation: CaSED and the paper's baselines on labelled images (CaSED, section 5).

``manifest`` reads the labelled images, ``methods`` creates a method from its name, ``run`` runs every method on every
image and measures it. Evaluation calls the same stages as tagging and contains no copy of them.
"""
