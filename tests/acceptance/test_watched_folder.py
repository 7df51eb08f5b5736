"""A folder as people have it: from a NAS, with old dates, copied, restored, written slowly, and not to be written to.

One stack has it as its inbox. A feed and a receiver of webhooks watch: nobody is told what is not so.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tasks.message_parts import ObjectRef
from tests.acceptance.images import drop, photograph
from tests.acceptance.stack import Stack, started
from tests.contract.receiver import Receiver, receiving
from tests.contract.stored_records import rewrite
from tests.eventually import eventually
from workers.redis.connection import connect
from workers.redis.keys import Keys
from workers.settings.settings import Settings
from workers.stores.folder import FolderStore
from workers.supervision.supervisor import read_stack

pytestmark = pytest.mark.timeout(600)

GRACE_S = 4.0
PAUSE_S = 1.5  # of a slow writer: longer than a file must be at rest, shorter than the grace
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 -- of a receiver that ends with the test
CAT, ROCKET = photograph("chelsea.png"), photograph("rocket.jpg")


@dataclass(frozen=True)
class Watched:
    """The stack, its inbox, where its uploads go, and who is told."""

    stack: Stack
    inbox: Path
    output: Path
    receiver: Receiver

    def feed(self) -> list[tuple[str, str]]:
        """Key and state of every entry of the feed."""
        items = self.stack._records().feed_page("0-0", 10_000)
        return [(item.oid.removeprefix("inbox/"), item.record.state if item.record else "removed") for item in items]

    def states(self, under: str) -> list[str]:
        return [state for key, state in self.feed() if key.startswith(under)]

    def told(self) -> tuple[int, int]:
        """How much the feed and the receiver have been told. The receiver has caught up with the feed."""
        feed = self.feed()
        eventually(lambda: len(self.receiver.seen) >= len(feed), 60, self.stack.said)
        return len(feed), len(self.receiver.seen)

    def refs(self) -> dict[str, ObjectRef]:
        store = FolderStore({"inbox": self.inbox}, elsewhere=self.output)
        return {info.ref.key: info.ref for info in store.list("inbox")}

    def compared(self) -> dict[str, int]:
        """The counts of a sweep, once no other one is under way."""

        def sweep() -> list[dict[str, int]]:
            done = self.stack.wildtag("reconcile", "--json", check=False)
            return [json.loads(done.stdout)] if done.returncode == 0 else []

        counts = eventually(sweep, 60, self.stack.said)[0]
        del counts["seconds"], counts["held_removals"]
        return counts


@pytest.fixture(scope="module")
def watched(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    base = tmp_path_factory.mktemp("watched")
    inbox, output = base / "photos", base / "output"
    for name, at in (("1960.png", -300_000_000), ("now.png", time.time()), ("2150.png", 5_680_000_000)):
        drop(inbox, f"before/{name}", CAT + name.encode())
        os.utime(inbox / "before" / name, (at, at))
    (inbox / "linked").symlink_to("before")
    with (
        receiving() as receiver,
        started(
            prepared, base / "home", WILDTAG_INBOX=str(inbox), WILDTAG_OUTPUT_FOLDER=str(output),
            WILDTAG_GRACE_S=str(GRACE_S), WILDTAG_RESCAN_S="3600", WILDTAG_NOTIFY_URL=receiver.url,
            WILDTAG_OUTGOING_ALLOW="127.0.0.1",
            WILDTAG_NOTIFY_SECRET=SECRET,
        ) as stack,
    ):  # fmt: skip
        yield Watched(stack, inbox, output, receiver)


def test_a_folder_of_a_nas_with_old_dates(watched: Watched) -> None:
    """Side files get no record, what is no image is skipped, and every image is tagged, whatever its date or name."""
    nfd = unicodedata.normalize("NFD", "Größe.png")
    good = ["2024/cat.png", f"2024/{nfd}", "2024/no suffix", "old/1960.png", "old/2150.png"]
    for key in good:
        drop(watched.inbox, f"nas/{key}", CAT + key.encode())
    os.utime(watched.inbox / "nas/old/1960.png", (-300_000_000, -300_000_000))
    os.utime(watched.inbox / "nas/old/2150.png", (5_680_000_000, 5_680_000_000))
    for key in (
        "2024/@eaDir/cat.png/SYNOPHOTO_THUMB_M.jpg", "#recycle/cat.png", "#snapshot/cat.png", "@Recycle/x.jpg",
        "$RECYCLE.BIN/x.jpg", "lost+found/x.jpg", ".Trash-1000/x.jpg", "2024/._cat.png",
    ):  # fmt: skip
        drop(watched.inbox, f"nas/{key}", ROCKET)
    for key in ("2024/Thumbs.db", "2024/cat.png.xmp", "desktop.ini", "2024/cat.png:Zone.Identifier", "IMG_1.AAE"):
        drop(watched.inbox, f"nas/{key}", b"a side file")
    for key in ("notes.txt", "a.mov"):
        drop(watched.inbox, f"nas/{key}", b"\0\0\0\x14ftypqt  not an image")
    records = watched.stack.settled(len(good) + 2, under="nas/")
    assert {key for key, record in records.items() if record["state"] == "done"} == {f"nas/{key}" for key in good}
    assert {key for key, record in records.items() if record["state"] == "skipped"} == {"nas/notes.txt", "nas/a.mov"}
    asked = watched.stack.wildtag("results", "--json", "nas/2024/Größe.png")
    assert json.loads(asked.stdout)["key"] == f"nas/2024/{nfd}"
    near = watched.stack.wildtag("results", "nas/2024/CAT.png", check=False)
    assert "did you mean 'nas/2024/cat.png'?" in near.stderr


def test_the_sweep_finds_files_of_any_date(watched: Watched) -> None:
    """Those that were there before the stack, which the watch does not report."""
    records = watched.stack.settled(3, under="before/")
    assert {record["state"] for record in records.values()} == {"done"}
    log = (watched.stack.home / "logs" / "watcher.log").read_text()
    assert log.count("link to a folder not followed") == 1  # the watch and the sweep both meet it


def write_slowly(path: Path, data: bytes, kind: str) -> None:
    """Write a file as a program that pauses does."""
    path.parent.mkdir(exist_ok=True)
    half = len(data) // 3
    with path.open("wb", buffering=0) as file:
        if kind == "allocated":  # as SMB clients do: its whole length, then its content
            file.truncate(len(data))
        elif kind == "growing":
            file.write(data[:half])
        time.sleep(PAUSE_S)  # the pause is what is tested
        if kind == "growing":
            file.write(data[half : 2 * half])
            time.sleep(PAUSE_S)  # as above
            file.write(data[2 * half :])
        else:
            file.write(data)


def test_nobody_is_told_that_a_file_failed_while_it_grows(watched: Watched) -> None:
    for name, data, kind in (
        ("scan.png", CAT, "growing"), ("photo.jpg", ROCKET, "growing"), ("smb.png", CAT, "allocated"),
        ("browser.jpg", ROCKET, "placeholder"),
    ):  # fmt: skip
        write_slowly(watched.inbox / "slow" / name, data + name.encode(), kind)
    records = watched.stack.settled(4, under="slow/")
    assert {record["state"] for record in records.values()} == {"done"}
    watched.told()
    assert set(watched.states("slow/")) == {"done"}
    states = {r.event["data"]["state"] for r in watched.receiver.seen if r.event["data"]["key"].startswith("slow/")}
    assert states == {"done"}


def test_a_file_that_stays_broken_fails_after_the_grace(watched: Watched) -> None:
    began = time.monotonic()
    drop(watched.inbox, "broken/half.jpg", ROCKET[: len(ROCKET) // 3])
    eventually(watched.stack.pending, 30, watched.stack.said)
    records = watched.stack.settled(1, under="broken/")
    assert records["broken/half.jpg"]["error"]["code"] == "truncated"
    assert time.monotonic() - began >= GRACE_S
    assert watched.states("broken/") == ["failed"]


def test_an_upload_goes_to_the_output_folder_and_is_found(watched: Watched) -> None:
    """And one that is broken fails at once: it was stored whole."""
    before = sorted(watched.inbox.rglob("*"))
    info = read_stack(watched.stack.home)
    assert info is not None
    with httpx.Client(base_url=info.addresses["gateway"], timeout=90) as http:
        sent = http.post("/v1/images", content=CAT + b"upload", params={"wait": 60}).json()
        assert sent["state"] == "done", sent
        assert http.get(f"/v1/images/{sent['id']}").json()["record"]["tags"]
        assert http.get(f"/v1/thumbnails/inbox/{sent['key']}").status_code == 200
        broken = http.post("/v1/images", content=ROCKET[: len(ROCKET) // 3], params={"wait": 60}).json()
    assert broken["state"] == "failed"
    assert broken["record"]["timings_ms"]["total"] / 1000 < GRACE_S
    assert (watched.output / sent["key"]).read_bytes() == CAT + b"upload"
    assert sorted(watched.inbox.rglob("*")) == before
    assert watched.compared()["gone"] == 0


def test_a_copy_of_the_folder_tags_nothing_and_tells_nobody(watched: Watched) -> None:
    """With ``cp -a``, and with the times of a file system that keeps whole seconds."""
    records = watched.stack.results()
    told = watched.told()
    copy, away = watched.inbox.with_name("copy"), watched.inbox.with_name("before")
    subprocess.run(["cp", "-a", watched.inbox, copy], check=True)
    watched.inbox.rename(away)
    copy.rename(watched.inbox)
    count = len(watched.refs())
    assert watched.compared() == {"seen": count, "sent": 0, "gone": 0}
    assert (watched.stack.results(), watched.told()) == (records, told)

    for file in watched.inbox.rglob("*"):
        ns = file.stat().st_mtime_ns // 10**9 * 10**9
        os.utime(file, ns=(ns, ns))
    assert watched.compared() == {"seen": count, "sent": 0, "gone": 0}
    etags = {key: ref.etag for key, ref in watched.refs().items()}
    after = watched.stack.results()
    assert {key: record["etag"] for key, record in after.items()} == etags
    assert {key: record | {"etag": ""} for key, record in after.items()} == {
        key: record | {"etag": ""} for key, record in records.items()
    }
    assert watched.told() == told


def test_etags_of_an_older_wildtag_are_rewritten_and_nobody_is_told(watched: Watched) -> None:
    """Version 0.1.0 wrote ``time-size-inode``: with them in all records, the next sweep has nothing to tell."""
    info = read_stack(watched.stack.home)
    assert info is not None
    client, keys = connect(info.addresses["redis"]), Keys(Settings.model_fields["key_prefix"].default)
    records, told = watched.stack.results(), watched.told()
    latest = list(watched.stack._records().latest())

    def written() -> bool:
        for number, record in enumerate(latest):
            old = f"{record.etag}-{number + 7:x}"
            rewrite(client, keys, record.id, record.json(), etag=old)
        now = watched.stack.results().values()
        return all(record["etag"].count("-") == 2 for record in now if record["etag"][0] != "-")

    eventually(written)  # the watcher may still look at files that other tests touched, and rewrite their ETags
    assert watched.compared() == {"seen": len(records), "sent": 0, "gone": 0}
    assert (watched.stack.results(), watched.told()) == (records, told)
