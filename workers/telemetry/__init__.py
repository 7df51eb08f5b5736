"""Logs and traces: how lines are written, what they must not contain, and spans. Knows no settings."""
