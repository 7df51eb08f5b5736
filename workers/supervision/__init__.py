"""Runs several processes as one: services, their processes, and the state of a home folder.

The entry point is ``workers.supervision.supervisor``. Nothing here knows what the processes do.
"""
