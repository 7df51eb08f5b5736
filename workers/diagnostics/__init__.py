"""Checks of the machine, set-up and checks of S3 buckets, and liveness of processes."""
