"""The processes of ``wildtag up`` under its supervisor, with the Redis that ``WILDTAG_REDIS_URL`` names.

``wildtag up`` has a Redis of its own, to which nothing can be put in between.
"""

from __future__ import annotations

from dataclasses import replace

from vectordb.errors import WildtagError
from workers.cli.stack import PREFORK
from workers.embedded.private_home import flower_auth
from workers.embedded.redis_server import PrivateRedis
from workers.embedded.stack import published, services
from workers.gateway.home_key import create_home_key
from workers.settings.settings import Settings
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
        supervisor.start([replace(one, after=()) for one in found], addresses, published(settings))
        supervisor.run()


if __name__ == "__main__":
    main()
