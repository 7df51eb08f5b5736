"""Webhooks and write-back: a signed POST for every finished object, according to Standard Webhooks 1.0.0."""
