"""Versions of the caption database: importing, teaching, remote access."""
