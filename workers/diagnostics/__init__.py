"""Doctor, S3 set-up and checks, liveness."""
