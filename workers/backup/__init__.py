"""Backups: what they contain, how they are written, verified and restored."""
