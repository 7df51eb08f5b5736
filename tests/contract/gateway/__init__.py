"""The gateway over HTTP: its real application, a real Redis, a folder as the bucket."""
