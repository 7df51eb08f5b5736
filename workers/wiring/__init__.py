"""The composition root: the only place that turns settings into adapters."""
