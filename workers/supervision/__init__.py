"""Running several processes as one: what a service is, its process, and what must be known about a home.

``workers.supervision.supervisor`` is the door; nothing here knows what the processes do.
"""
