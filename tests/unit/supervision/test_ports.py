"""The ports of a stack: each is one stack's, from when it is chosen."""

from __future__ import annotations

import socket

from workers.embedded.stack import free_port


def test_a_port_that_is_chosen_and_not_yet_listened_to_is_not_chosen_again() -> None:
    first = free_port(0, claim=True)
    assert free_port(first, claim=True) != first
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", first))  # as the process that it was chosen for does in the end


def test_a_port_that_is_taken_is_left_alone() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port(port) != port
