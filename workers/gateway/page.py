"""The web page at ``/`` and the API documentation at ``/docs``: static files of packages, without a build step.

Both load nothing from other hosts; their content security policies forbid it.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles

from workers.gateway import security_headers
from workers.gateway.sign_in import OLD_COOKIE

FILES = resources.files("workers.gateway") / "page_files"
DOCS = "/docs"
FRESH = {"Cache-Control": "no-cache"}  # always revalidate: modules of two versions would not work together


class _Files(StaticFiles):
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await super().__call__(_whole(scope), receive, send)

    def file_response(self, full_path: Any, stat_result: Any, scope: Any, status_code: int = 200) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers.update(FRESH)
        if OLD_COOKIE in Request(scope).cookies:  # an API key, which the browser would send to other ports
            response.delete_cookie(OLD_COOKIE, httponly=True, samesite="strict")
        return response


def _whole(scope: Any) -> Any:
    """A scope without Range: the files are small, and Starlette answers an invalid one with a text of its own."""
    return {**scope, "headers": [pair for pair in scope["headers"] if pair[0] != b"range"]}


def install(app: FastAPI) -> None:
    """Serve the pages. Call this last, as the page's mount matches all remaining paths."""

    def docs() -> Response:
        return HTMLResponse((FILES / "docs.html").read_bytes(), headers=FRESH)

    app.add_api_route(DOCS, docs, include_in_schema=False)
    # only Swagger UI's files of that package are used
    app.mount(f"{DOCS}/files", _Files(packages=[("fastapi_offline", "static")]), name="docs")
    app.mount("/", _Files(packages=[("workers.gateway", "page_files")], html=True), name="page")


@cache
def paths() -> frozenset[str]:
    """The paths of the pages and of their files."""
    swagger = Path(str(resources.files("fastapi_offline") / "static"))
    folders = {"": Path(str(FILES)), f"{DOCS}/files": swagger}
    found = {
        f"{prefix}/{file.relative_to(folder).as_posix()}"
        for prefix, folder in folders.items()
        for file in folder.rglob("*")
        if file.is_file()
    }
    return frozenset({"/", DOCS, *found})


def policy(path: str) -> str | None:
    """The content security policy of a path; ``None`` for all else, which gets the strict one."""
    if path not in paths():
        return None
    return security_headers.DOCS if path == DOCS else security_headers.PAGE
