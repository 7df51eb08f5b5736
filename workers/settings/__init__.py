"""What can be configured: defaults, ranges and units, by topic."""
