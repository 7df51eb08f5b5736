"""The ports of a stack: each is one stack's, from when it is chosen."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tests.warm import wildtag
from workers.embedded.ports import PortInUse, free_port, required_port


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


def test_a_port_that_was_set_and_is_taken_is_refused_by_the_name_of_its_setting() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortInUse, match=f"WILDTAG_GATEWAY_PORT: port {port} is in use"):
            required_port(port, "gateway_port")


def test_a_port_that_was_set_belongs_to_one_stack() -> None:
    port = free_port(0)
    assert required_port(port, "flower_port") == port
    with pytest.raises(PortInUse, match="WILDTAG_FLOWER_PORT"):
        required_port(port, "flower_port")


@pytest.mark.parametrize("setting", ["WILDTAG_GATEWAY_PORT", "WILDTAG_FLOWER_PORT"])
def test_up_refuses_in_one_line(setting: str, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        environment = {**os.environ, "WILDTAG_HOME": str(tmp_path), setting: str(taken.getsockname()[1])}
        done = wildtag("up", env=environment, timeout=60)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    assert setting in done.stderr
