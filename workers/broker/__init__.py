"""Celery: the app and the publisher."""
