"""The page at ``/``: files of this package, without a build step. Nothing on it comes from elsewhere."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

from workers.gateway import guards


def install(app: FastAPI) -> None:
    """Serve the page; comes last, since it answers for every address that is left."""
    app.mount("/", StaticFiles(packages=[("workers.gateway", "page_files")], html=True), name="page")


def policy(path: str) -> str | None:
    """The content security policy of an address: what is not served as a page may load nothing."""
    return None if path.startswith("/v1/") else guards.PAGE
