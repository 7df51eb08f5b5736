"""With a full disk the gateway is not ready and says why; uploads are refused; both end when there is room again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.gateway.running import Running, png, problem, running, wired
from tests.contract.small_disk import fill, mount, needs_root, small_disk
from tests.eventually import eventually

pytestmark = needs_root


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system, where the home is."""
    with small_disk(tmp_path / "disk", "size=8m,nr_inodes=2000") as folder:
        yield folder


@pytest.fixture
def gateway(disk: Path, redis_url: str) -> Iterator[Running]:
    with running(wired(disk, redis_url)) as made:
        yield made


def reason(gateway: Running) -> str:
    """Why it is not ready; empty if it is."""
    answer = gateway.http.get("/readyz")
    assert (answer.status_code == 200) == answer.json()["ready"]
    return str(answer.json()["missing"].get("disk", ""))


def test_a_full_disk(gateway: Running, disk: Path) -> None:
    name = gateway.upload()["id"]
    fill(disk, 100_000)
    assert "the disk is full" in eventually(lambda: reason(gateway))
    answer = gateway.http.post("/v1/images", content=png("full"))
    assert (problem(answer), answer.status_code, answer.headers["Retry-After"]) == ("no-space", 507, "30")
    assert "the disk is full" in answer.json()["detail"]
    assert str(disk) not in answer.text
    assert gateway.http.get(f"/v1/images/{name}").status_code == 200  # what is there can be read
    (disk / "other").unlink()
    eventually(lambda: not reason(gateway))
    gateway.upload()


def test_inodes_that_are_used_up(gateway: Running, disk: Path) -> None:
    files = [disk / str(number) for number in range(1995)]
    try:
        for file in files:
            file.touch()
    except OSError:
        pass
    assert "no inodes left" in eventually(lambda: reason(gateway))
    assert gateway.http.post("/v1/images", content=png("inodes")).status_code == 507
    for file in files:
        file.unlink(missing_ok=True)
    eventually(lambda: not reason(gateway))
    gateway.upload()


def test_a_file_system_that_became_read_only(gateway: Running, disk: Path) -> None:
    mount("-o", "remount,ro", str(disk))
    assert "read-only" in eventually(lambda: reason(gateway))
    assert gateway.http.post("/v1/images", content=png("ro")).status_code == 507
    mount("-o", "remount,rw", str(disk))
    eventually(lambda: not reason(gateway))
    gateway.upload()
