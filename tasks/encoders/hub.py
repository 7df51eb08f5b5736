"""Asks once whether the Hugging Face hub can be reached: without a network its library retries for half a minute."""

from __future__ import annotations

import re
from pathlib import Path

from vectordb.errors import Transient

TIMEOUT_S = 5.0


class HubUnreachable(Transient):
    """There is no connection to the hub."""


def require_hub(endpoint: str | None = None) -> None:
    """Raises ``HubUnreachable`` if there is no connection. Any answer counts as one: faults after it are retried.

    ``endpoint``: the address of the hub, if not that of HF_ENDPOINT. Does nothing with HF_HUB_OFFLINE, where the
    library asks nobody.
    """
    from huggingface_hub import constants, get_session  # noqa: PLC0415 - takes a second
    from huggingface_hub.utils.logging import set_verbosity_error  # noqa: PLC0415 - as above

    # it would print a line for every retry
    set_verbosity_error()  # type: ignore[no-untyped-call]  # has no annotations
    if constants.HF_HUB_OFFLINE:
        return
    address = endpoint or constants.ENDPOINT
    try:
        get_session().head(address, timeout=TIMEOUT_S)
    except Exception as exc:  # of the HTTP client that the library happens to use
        if type(exc).__name__ == "RemoteProtocolError":  # it closed a connection that was kept for reuse
            return
        reason = str(exc).strip().partition("\n")[0] or type(exc).__name__
        raise HubUnreachable(
            f"no connection to the hub at {address} ({reason}). Check the network, then run the same command again"
        ) from exc


def require_hub_for(name: str) -> None:
    """``require_hub``, unless this model is a folder or its configuration was downloaded before."""
    from huggingface_hub import try_to_load_from_cache  # noqa: PLC0415 - takes a second

    if may_be_on_hub(name) and not isinstance(try_to_load_from_cache(name, "config.json"), str):
        require_hub()


def may_be_on_hub(name: str) -> bool:
    """Whether a name can be that of a model of the hub: no folder that exists, and no path to one that does not."""
    return not Path(name).is_dir() and re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name) is not None
