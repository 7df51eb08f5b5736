"""The process of Flower."""

from __future__ import annotations

from vectordb.errors import Permanent
from workers.gateway.addresses import loopback
from workers.settings.settings import Settings
from workers.wiring.wiring import Wiring


def run_flower(settings: Settings, port: int, address: str = "127.0.0.1") -> None:
    """Run Flower on the loopback address, or with authentication on another address.

    Flower can stop workers. Raises ``Permanent`` for another address without ``flower_auth``.
    """
    if not settings.flower_auth and not loopback(address):
        raise Permanent(f"Flower on {address} requires a password: set WILDTAG_FLOWER_AUTH=USER:PASSWORD")
    # the arguments are read in this process; the password is on no command line
    auth = [f"--basic_auth={settings.flower_auth}"] if settings.flower_auth else []
    Wiring(settings).app.start([
        "flower", f"--address={address}", f"--port={port}", *auth, "--max_tasks=20000", "--natural_time=True",
    ])  # fmt: skip
