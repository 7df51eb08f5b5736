"""One root, two branches. Which branch an error is on decides what happens to the object it stopped.

``Transient``: the same call may succeed later (a service is away, a file is locked): the work is retried.
``Permanent``: it never will (not an image, wrong dimension, a setting that contradicts another): the object
ends as ``failed``, or the command ends with the message.

Adapters translate what their libraries raise at their own border, with ``raise … from exc``.
"""


class WildtagError(Exception):
    """The root of all errors that wildtag raises on purpose; its text is written for a person."""


class Transient(WildtagError):
    """Try again later.

    ``service``: what is away (``redis``, ``broker``, ``store``, ``captions``), where the fault says that of a service
    and not of one object; nobody who needs that gets on until it is back.
    """

    service: str | None = None


class Permanent(WildtagError):
    """Trying again changes nothing."""
