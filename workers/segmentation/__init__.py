"""Segmentation requests, their queue, methods and artifacts."""
