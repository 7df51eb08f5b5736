"""Who writes sees it at once: what was deleted is gone, and what is tagged again is queued."""

from __future__ import annotations

import pytest

from tests.contract.gateway.running import Running, problem
from workers.dispatch.retag import retag
from workers.lifecycle.inbox import EventInbox

OBJECT = "/v1/objects/inbox/a.png"


def handled(inbox: EventInbox) -> None:
    """Read all events and finish with them, as a dispatcher does."""
    inbox.prepare()
    events = inbox.read("test", 100, None)
    inbox.done([entry for entry, _ in events])
    inbox.unmark(events)


def test_what_was_deleted_is_gone_at_once_everywhere(gateway: Running) -> None:
    ref = gateway.tagged("a.png", "cat")
    assert gateway.http.delete(OBJECT).status_code == 204
    for path in (OBJECT, f"{OBJECT}:content", f"{OBJECT}:events", "/v1/thumbnails/inbox/a.png"):
        answer = gateway.http.get(path)
        assert (answer.status_code, problem(answer)) == (404, "not-found"), path
    assert gateway.http.get("/v1/objects").json()["objects"] == []
    assert gateway.http.get("/v1/tags").json()["tags"] == []
    assert gateway.http.get("/v1/tags/cat/objects").json()["objects"] == []
    assert gateway.http.get("/v1/search", params={"tag": "cat"}).json()["images"] == []
    assert gateway.http.post(f"{OBJECT}:retag").status_code == 404
    gateway.enter(ref)  # by an event from before, which a dispatcher had already read
    assert gateway.http.get(OBJECT).status_code == 404
    gateway.put("a.png")
    assert gateway.http.get(OBJECT).json()["state"] == "queued"


def test_a_worker_that_still_computes_writes_no_record_of_what_was_deleted(gateway: Running) -> None:
    ref = gateway.put("a.png")
    gateway.enter(ref)
    gateway.advance(ref, "scoring")
    assert gateway.http.delete(OBJECT).status_code == 204
    with pytest.raises(AssertionError):  # the ledger refuses it
        gateway.finish(ref, "cat")
    assert gateway.http.get(OBJECT).status_code == 404
    assert gateway.http.get("/v1/objects").json()["objects"] == []


@pytest.mark.parametrize("how", ["retag", "batch", "mass"])
def test_what_is_tagged_again_is_queued_until_its_event_was_handled(gateway: Running, how: str) -> None:
    gateway.tagged("a.png", "cat")
    handled(gateway.wiring.inbox)
    inbox = gateway.wiring.low_priority_inbox if how == "mass" else gateway.wiring.inbox
    if how == "retag":
        gateway.http.post(f"{OBJECT}:retag").raise_for_status()
    elif how == "batch":
        gateway.http.post("/v1/batches", json={"keys": ["a.png"], "force": True}).raise_for_status()
    else:

        def wait(_: int) -> None:
            check(gateway)
            handled(inbox)

        assert retag(iter([["a.png"]]), "inbox", inbox, wait) == 1
        return
    check(gateway)
    handled(inbox)  # and dropped: it is what it was
    assert gateway.http.get(OBJECT).json()["state"] == "done"
    assert gateway.wiring.redis.hlen(gateway.keys_of("inbox/a.png").retag_marks) == 0


def check(gateway: Running) -> None:
    body = gateway.http.get(OBJECT, params={"wait": 0.3}).json()
    assert (body["state"], body["record"], body["previous"]["state"]) == ("queued", None, "done")
