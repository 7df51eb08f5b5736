"""Decodes images in child processes that can do no harm, and that can be ended."""
