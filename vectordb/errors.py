"""The root of all errors and its two branches, which decide what happens to the affected object.

``Transient``: the same call may succeed later (a service is unavailable, a file is locked). The work is retried.
``Permanent``: retrying does not help (not an image, wrong dimension, contradicting settings). The object ends as
``failed``, or the command ends with the message.

Adapters translate the errors of their libraries with ``raise … from exc``.
"""


class WildtagError(Exception):
    """The root of all errors that wildtag raises on purpose; its text is written for users."""


class Transient(WildtagError):
    """The call may succeed later.

    ``service``: the unavailable service (``redis``, ``broker``, ``store``, ``captions``), if the fault affects all of
    it and not only one object. Work that needs it waits until it is available again.
    """

    service: str | None = None


class Permanent(WildtagError):
    """Retrying does not help."""
