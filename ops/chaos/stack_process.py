"""The processes of ``wildtag up`` under its supervisor, with the Redis that ``WILDTAG_REDIS_URL`` names.

``wildtag up`` has a Redis of its own, to which nothing can be put in between.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from vectordb.errors import WildtagError
from workers.cli.stack import PREFORK
from workers.embedded.private_home import flower_auth
from workers.embedded.redis_server import PrivateRedis
from workers.embedded.stack import published, services
from workers.gateway.home_key import create_home_key
from workers.settings.settings import Settings
from workers.supervision.service import Service
from workers.supervision.supervisor import Supervisor
from workers.wiring.wiring import Wiring


def main() -> None:
    """Run them until SIGTERM."""
    settings = Settings()
    settings = settings.model_copy(update={"flower_auth": flower_auth(settings)})
    port = settings.flower_port
    if port is None:
        raise WildtagError("WILDTAG_FLOWER_PORT is not set")
    settings.inbox_folder.mkdir(parents=True, exist_ok=True)
    create_home_key(settings.home)
    with Supervisor(settings.home, on_event=print, prefork=PREFORK) as supervisor:
        supervisor.begin([])
        wiring = Wiring(settings)
        wiring.layout.require()
        found = services(settings, PrivateRedis(settings.home), port)
        addresses = {
            "redis": settings.redis_url, "broker": settings.broker, "inbox": str(settings.inbox_folder),
            "flower": f"http://127.0.0.1:{port}", "gateway": f"http://127.0.0.1:{settings.gateway_port}",
        }  # fmt: skip
        supervisor.start([clocked(replace(one, after=())) for one in found], addresses, published(settings))
        supervisor.run()


def clocked(service: Service) -> Service:
    """This service, with a clock that a file sets if ``CHAOS_CLOCKS`` has one for it: ``LIBRARY FOLDER``."""
    library, _, folder = os.environ.get("CHAOS_CLOCKS", "").partition(" ")
    file = Path(folder, service.name)
    if not library or not file.exists():
        return service
    # "monotonic" clocks do not jump on any machine
    path = os.pathsep.join(filter(None, (folder, os.environ.get("PYTHONPATH"))))
    variables = (
        f"PYTHONPATH={path}",
        f"LD_PRELOAD={library}", f"FAKETIME_TIMESTAMP_FILE={file}", "FAKETIME_CACHE_DURATION=1",
        "FAKETIME_DONT_FAKE_MONOTONIC=1", "DONT_FAKE_MONOTONIC=1",
        # or threads that wait for Python's lock would do so in a loop, with a core of their own
        "FAKETIME_FORCE_MONOTONIC_FIX=0",
    )  # fmt: skip
    return replace(service, command=("env", *variables, *service.command))


if __name__ == "__main__":
    main()
