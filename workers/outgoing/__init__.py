"""Requests to addresses that a setting or a caller names: one client that reaches the public internet only."""
