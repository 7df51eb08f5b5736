"""Evaluation: CaSED and the paper's baselines on pictures whose labels are known (CaSED, section 5).

``manifest`` reads the labelled pictures, ``methods`` makes a method from its name, ``run`` gives every picture to
every method and measures. Nothing here is part of tagging: the method itself is called, never copied.
"""
