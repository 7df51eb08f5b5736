"""A Prometheus that scrapes every second, with the rules and alerts of wildtag."""

from __future__ import annotations

import json
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from tests.eventually import eventually
from tests.prometheus import MONITORING, program
from vectordb.proxies import DIRECT
from workers.embedded.ports import free_port

# what Grafana puts in the place of its variables; short, since the tests are
VARIABLES = {"$__rate_interval": "1m", "$__range": "5m", "$__interval": "15s"}


@dataclass(frozen=True)
class Prometheus:
    """A server that runs. ``log``: what it said."""

    address: str
    log: Path

    def query(self, expr: str) -> list[dict[str, Any]]:
        """The series of an instant query. Fails with what Prometheus says of it."""
        for name, value in VARIABLES.items():
            expr = expr.replace(name, value)
        found = self._get("query", {"query": expr})
        assert found["status"] == "success", f"{found.get('error')}: {expr}"
        data = found["data"]
        if data["resultType"] == "scalar":
            return [{"metric": {}, "value": data["result"]}]
        series: list[dict[str, Any]] = data["result"]
        return series

    def value(self, expr: str) -> float:
        """The number that a query gives; 0 where it gives none."""
        found = self.query(expr)
        return float(found[0]["value"][1]) if found else 0.0

    def faults(self) -> list[str]:
        """What is wrong with targets and rules."""
        targets = self._get("targets", {})["data"]["activeTargets"]
        groups = self._get("rules", {})["data"]["groups"]
        return [one["lastError"] for one in targets if one["health"] == "down"] + [
            f"{rule['name']}: {rule.get('lastError')}"
            for group in groups
            for rule in group["rules"]
            if rule["health"] == "err"
        ]

    def said(self) -> str:
        """The end of its log."""
        return self.log.read_text()[-3000:]

    def _get(self, path: str, parameters: dict[str, str]) -> Any:
        url = f"{self.address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with DIRECT.open(url, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as exc:
            return json.load(exc)


@contextmanager
def scraping(target: str, folder: Path) -> Iterator[Prometheus]:
    """A Prometheus that scrapes the gateway at an address; the configuration is that of Compose, without its key."""
    given = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
    given["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    given["rule_files"] = [str(MONITORING / name) for name in given["rule_files"]]
    (gateway,) = [job for job in given["scrape_configs"] if job["job_name"] == "wildtag-gateway"]
    del gateway["authorization"]
    gateway["static_configs"] = [{"targets": [urlsplit(target).netloc]}]
    given["scrape_configs"] = [gateway]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(given))
    port = free_port(0)
    server = Prometheus(f"http://127.0.0.1:{port}", folder / "log")
    with server.log.open("wb") as out:
        process = subprocess.Popen(
            [str(program("prometheus")), f"--config.file={folder / 'prometheus.yml'}",
             f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{port}"],
            stdout=out, stderr=out,
        )  # fmt: skip
    try:
        # it says "Service Unavailable" at first
        eventually(lambda: server.value("count(up)"), 60, server.said, despite=(OSError, ValueError))
        yield server
    finally:
        process.terminate()
        process.wait(20)
