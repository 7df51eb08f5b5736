"""The distribution's Chromium; nothing is downloaded. Where there is none the run says that the page is untested."""

from __future__ import annotations

import os
import shutil
from importlib import util
from pathlib import Path

MISSING = "The page was NOT tested: {} is missing (make develop; apt-get install chromium)."
# a root user has no sandbox of Chromium's; what it opens here is our own
FLAGS = ["--no-sandbox"] if os.geteuid() == 0 else []


def program() -> str | None:
    """Where Chromium is."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def missing() -> str | None:
    """What is not there of what these tests need."""
    for package in ("playwright", "axe_playwright_python"):
        if util.find_spec(package) is None:
            return package
    return None if program() else "Chromium"


def photographs() -> Path:
    """The folder of scikit-image's photographs."""
    spec = util.find_spec("skimage.data")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent
