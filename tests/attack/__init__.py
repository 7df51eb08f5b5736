"""Attacks: hostile files, archives, links and requests. Each test is bounded in time and memory."""
