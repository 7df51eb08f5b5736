"""Thresholds that a vector space gets without labels: from words that WordNet relates, and from images of nothing.

The rules and what was measured: ops/decisions/0025-thresholds-without-labels.md.
"""
