"""Detects, records and reports services that cannot be reached."""
