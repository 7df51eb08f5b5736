"""RabbitMQ for Kombu: publishing that is confirmed and never hangs, and connections whose certificate is checked.

Kombu's own transport confirms only on request, then waits without limit, and drops messages for a queue that has been
deleted. ``PATH`` is what Kombu needs to find the transport of this module.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from amqp import Message
from amqp.exceptions import AccessRefused, AMQPError, MessageNacked, NotAllowed, RecoverableConnectionError
from kombu.transport import pyamqp

PATH = "workers.broker.amqp_transport:Transport"
CONFIRM_S = 5.0  # for the broker to confirm a message; a busy disk takes a fraction of a second
STALLED_S = 5  # for one read or write of a connection that waits for the broker
HEARTBEAT_S = 60  # after two of them without a sign, a connection of a worker counts as lost
NOWHERE = "wildtag.nowhere"  # no queue has this name
DELAYED = "delayed"  # the end of the name of the exchange whose queue holds messages for a short time


class BrokerBlocked(Exception):
    """RabbitMQ accepts no messages: it is short of memory or disk. It may publish later what was sent."""


class Refused(OSError):
    """RabbitMQ refuses the connection, or is not trusted. Kombu retries it, since somebody may correct the cause."""


class Channel(pyamqp.Channel):
    """A channel that waits for the confirmation of tasks. Events and commands of Celery, on others, may be lost."""

    _confirm_selected: bool  # amqp's: whether the broker confirms what is published here
    _basic_publish: Any  # amqp's: without waiting

    def basic_publish(self, msg: Any, exchange: str = "", routing_key: str = "", *args: Any, **options: Any) -> None:
        """See amqp: messages for a queue are confirmed, and so is what is published on the same channel.

        Raises ``BrokerBlocked``, or ``RecoverableConnectionError`` if the message was not accepted, after closing the
        connection: a late confirmation would be taken for that of the next message.
        """
        task = not exchange or exchange.endswith(DELAYED)
        if not task and not self._confirm_selected:
            self._basic_publish(msg, exchange, routing_key, *args, **options)
            return
        self._publish_confirmed(msg, exchange, routing_key, mandatory=task)

    def ask(self) -> None:
        """Publish a message for nobody, to see whether the broker takes messages. Raises as ``basic_publish``."""
        self._publish_confirmed(Message(b""), "", NOWHERE, mandatory=False)

    def _publish_confirmed(self, msg: Any, exchange: str, routing_key: str, *, mandatory: bool) -> None:
        connection = self.connection
        if connection is None:
            raise RecoverableConnectionError("the connection was closed")
        try:
            with connection.awaiting():
                self.basic_publish_confirm(
                    msg, exchange, routing_key, mandatory=mandatory, timeout=CONFIRM_S, confirm_timeout=CONFIRM_S
                )
        except BrokerBlocked:
            connection.collect()
            raise
        except (AMQPError, MessageNacked, OSError) as exc:
            connection.collect()
            reason = f"{routing_key}: the message was not accepted: {str(exc) or type(exc).__name__}"
            raise RecoverableConnectionError(reason) from exc


class Connection(pyamqp.Connection):
    """A connection that says when RabbitMQ blocks it, but only to those who wait for a confirmation."""

    Channel = Channel
    _awaiting = False

    @contextmanager
    def awaiting(self) -> Iterator[None]:
        """While this lasts, a block of the connection raises ``BrokerBlocked``."""
        self._awaiting = True
        try:
            yield
        finally:
            self._awaiting = False

    def _on_blocked(self) -> None:
        if self._awaiting:
            raise BrokerBlocked("RabbitMQ accepts no messages, because it is short of memory or disk; see its log")


class Transport(pyamqp.Transport):
    """Connects with a checked certificate where the URL says ``amqps``. Raises ``Refused`` for a wrong account."""

    Connection = Connection

    def establish_connection(self) -> Any:
        """See Kombu."""
        client: Any = self.client
        host = client.hostname
        if isinstance(client.ssl, dict):  # of this host: after a failover it is another one
            client.ssl = {**client.ssl, "server_hostname": host or "localhost"}
        try:
            return super().establish_connection()
        except (AccessRefused, NotAllowed) as exc:
            raise Refused(
                f"RabbitMQ refuses the user, password or virtual host of WILDTAG_BROKER_URL: {exc.reply_text}"
            ) from exc
        except ssl.SSLCertVerificationError as exc:
            raise Refused(
                f"RabbitMQ's certificate is not trusted ({exc.verify_message}): set WILDTAG_BROKER_CA_FILE to the"
                " certificate of its authority, and use the host name that it was issued for"
            ) from exc
        finally:
            client.hostname = host  # Kombu puts an address in place of localhost, which no certificate is for
