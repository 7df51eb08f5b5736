"""While an image is tagged again, its last record is shown as such."""

from __future__ import annotations

from tests.contract.gateway.running import Running, png


def test_the_last_record_is_there_until_the_next_one(gateway: Running) -> None:
    ref = gateway.tagged("a.png", "cat")
    _, before = gateway.get("/v1/objects/inbox/a.png")
    assert (before["state"], before["previous"]) == ("done", None)
    gateway.enter(ref, force=True)
    _, meanwhile = gateway.get("/v1/objects/inbox/a.png")
    assert (meanwhile["state"], meanwhile["record"]) == ("queued", None)
    assert meanwhile["previous"] == before["record"]
    _, since = gateway.get(f"/v1/objects/inbox/a.png?since={before['finished_at']}")
    assert since["previous"] == before["record"]
    gateway.finish(ref, "dog")
    _, after = gateway.get("/v1/objects/inbox/a.png")
    assert (after["record"]["tags"][0]["label"], after["previous"]) == ("dog", None)


def test_the_record_of_another_version_is_not_what_came_before(gateway: Running) -> None:
    gateway.tagged("a.png", "cat")
    gateway.enter(gateway.put("a.png", png("other")))
    _, body = gateway.get("/v1/objects/inbox/a.png")
    assert (body["state"], body["record"], body["previous"]) == ("queued", None, None)
