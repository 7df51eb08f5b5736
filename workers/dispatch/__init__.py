"""Decides what is sent to the queues and when: dispatcher, keeper, reconcile, retag, batches."""
