"""The page at ``/`` and the API's documentation at ``/docs``: files of packages, without a build step.

Nothing on them comes from elsewhere, and their policies would not let it.
"""

from __future__ import annotations

from importlib import resources
from typing import Any

from fastapi import FastAPI
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles

from workers.gateway import guards

FILES = resources.files("workers.gateway") / "page_files"
DOCS = "/docs"
FRESH = {"Cache-Control": "no-cache"}  # asked after each time, by ETag: modules of two versions would not fit


class _Files(StaticFiles):
    def file_response(self, *arguments: Any, **named: Any) -> Response:
        response = super().file_response(*arguments, **named)
        response.headers.update(FRESH)
        return response


def install(app: FastAPI) -> None:
    """Serve the page; comes last, since it answers for every address that is left."""

    def docs() -> Response:
        return FileResponse(str(FILES / "docs.html"), headers=FRESH)

    app.add_api_route(DOCS, docs, include_in_schema=False)
    # of that package only Swagger UI's files are used
    app.mount(f"{DOCS}/files", StaticFiles(packages=[("fastapi_offline", "static")]), name="docs")
    app.mount("/", _Files(packages=[("workers.gateway", "page_files")], html=True), name="page")


def policy(path: str) -> str | None:
    """The content security policy of an address: what is not served as a page may load nothing."""
    if path.startswith("/v1/"):
        return None
    return guards.DOCS if path == DOCS else guards.PAGE
