"""Telling others: a signed POST for every finished object, as Standard Webhooks 1.0.0 describes it."""
