"""Versions of the caption database: import, teach, ask."""
