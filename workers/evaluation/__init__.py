"""Adapters, conditions and the HTML report of ``wildtag evaluate``; the method is in ``tasks.evaluation``."""
