"""The four stages and segmentation as Celery tasks."""
