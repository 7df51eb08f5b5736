"""Segmentations over HTTP: asking for one, and its artifacts."""

from __future__ import annotations

import io
import json
import time

import msgspec
import pytest
from PIL import Image

from tasks.message_parts import ObjectRef
from tasks.segmentation.results import RunLengths, Segment, Segmented
from tests.contract.gateway.running import Running, png
from tests.contract.stored_records import rewrite, rows
from workers.lifecycle.record_view import public_json
from workers.segmentation.methods import recorded

PARTITIONS = (1, 3)

OF_HALF = Segmented(
    method="dense", width=4, height=2, shape=(2, 4), labels=("unknown", "cat"), encoded=1, looked_up=1,
    segments=(Segment(label="cat", score=0.5, box=(0, 0, 2, 2), area=0.5, mask=RunLengths((2, 4), "042")),),
)  # fmt: skip


def draw(gateway: Running, ref: ObjectRef) -> None:
    """What a worker does with an object that is to be segmented."""
    artifacts = gateway.wiring.artifacts.keep(ref, Image.new("RGB", (4, 2)), OF_HALF)
    gateway.finish(ref, "cat", segmentation=recorded(OF_HALF, artifacts))


@pytest.fixture
def drawn(gateway: Running) -> ObjectRef:
    """An object that was segmented."""
    ref = gateway.put("in a folder/ä.png", png("a"))
    gateway.enter(ref, segment="dense")
    draw(gateway, ref)
    return ref


def test_an_upload_may_ask_to_be_segmented(gateway: Running) -> None:
    name = gateway.upload(segment="regions")["id"]
    oid = f"inbox/uploads/{name}"
    assert gateway.segmentation_request(oid) == "regions"
    assert gateway.wiring.inbox.length() == 1


def test_a_way_that_there_is_not_is_refused_and_nothing_is_stored(gateway: Running) -> None:
    answer = gateway.http.post("/v1/images", params={"segment": "prompted"}, content=png("a"))
    assert answer.status_code == 501
    assert answer.json()["type"].endswith("unsupported")
    assert gateway.http.post("/v1/images", params={"segment": "fine"}, content=png("a")).status_code == 422
    assert gateway.stored() == []


def test_an_object_is_segmented_when_somebody_asks(gateway: Running) -> None:
    ref = gateway.put("a b.png", png("a"))
    gateway.enter(ref)
    gateway.finish(ref, "cat")
    answer = gateway.http.post("/v1/objects/inbox/a b.png:segment", params={"method": "regions"})
    assert answer.status_code == 202
    assert gateway.segmentation_request(ref.id) == "regions"
    waiting = gateway.http.get(answer.headers["Location"]).json()
    assert (waiting["state"], waiting["record"]) == ("queued", None)
    assert gateway.http.post("/v1/objects/inbox/nothing.png:segment").status_code == 404
    assert gateway.wiring.inbox.length() == 1


def test_an_upload_is_segmented_when_somebody_asks(gateway: Running) -> None:
    name = gateway.upload()["id"]
    assert gateway.http.post(f"/v1/images/{name}:segment").status_code == 202
    assert gateway.segmentation_request(f"inbox/uploads/{name}") == "dense"


def test_a_batch_may_ask_for_all_of_its_objects(gateway: Running) -> None:
    gateway.put("a.png", png("a"))
    assert gateway.http.post("/v1/batches", json={"keys": ["a.png"], "segment": "dense"}).status_code == 202
    assert gateway.segmentation_request("inbox/a.png") == "dense"
    answer = gateway.http.post("/v1/batches", json={"prefix": "a", "segment": "dense"})
    assert answer.status_code == 422


def test_the_record_says_what_is_where(gateway: Running, drawn: ObjectRef) -> None:
    found = gateway.http.get(f"/v1/objects/{drawn.id}").json()["record"]["segmentation"]
    assert found["labels"] == [
        {"label": "unknown", "colour": "#000000"}, {"label": "cat", "colour": found["labels"][1]["colour"]}
    ]  # fmt: skip
    assert found["segments"][0]["box"] == [0, 0, 2, 2]
    assert found["segments"][0]["mask"] == {"size": [2, 4], "counts": "042"}


def test_its_pictures_are_served(gateway: Running, drawn: ObjectRef) -> None:
    answer = gateway.http.get(f"/v1/label-maps/{drawn.id}")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/png")
    label_map = Image.open(io.BytesIO(answer.content))
    assert (label_map.mode, label_map.size) == ("P", (4, 2))
    again = gateway.http.get(f"/v1/label-maps/{drawn.id}", headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304
    overlay = gateway.http.get(f"/v1/overlays/{drawn.id}")
    assert overlay.headers["Content-Type"] == "image/jpeg"
    assert Image.open(io.BytesIO(overlay.content)).height > 2  # the legend


def test_pictures_of_what_was_not_segmented_are_not_there(gateway: Running, drawn: ObjectRef) -> None:
    plain = gateway.put("plain.png", png("b"))
    gateway.enter(plain)
    gateway.finish(plain, "cat")
    for key in ("plain.png", "nothing.png", ".wildtag/segments/plain.png"):
        assert gateway.http.get(f"/v1/overlays/inbox/{key}").status_code == 404
    gateway.wiring.artifacts.forget([drawn.id])  # somebody tidied the bucket
    assert gateway.http.get(f"/v1/overlays/{drawn.id}").status_code == 404


def test_the_old_name_of_the_method_is_refused_and_the_new_one_named(gateway: Running) -> None:
    ref = gateway.put("a.png", png("a"))
    answer = gateway.http.post("/v1/objects/inbox/a.png:segment", params={"way": "regions"})
    assert answer.status_code == 400
    assert answer.json()["detail"] == "the query parameter way has been renamed: use method"
    assert gateway.segmentation_request(ref.id) is None


def test_a_record_of_an_older_version_is_sent_with_todays_names(gateway: Running, drawn: ObjectRef) -> None:
    redis, keys = gateway.wiring.redis, gateway.keys_of(drawn.id)
    (record,) = gateway.wiring.records.get([drawn.id])
    assert record is not None
    body = record.json()
    old = body.replace(b'"segmentation":{"method":', b'"segmentation":{"way":').replace(
        b'"artifacts":', b'"pictures":'
    )
    assert old != body
    rewrite(redis, keys, drawn.id, old, msgspec.json.encode(rows(redis, keys, drawn.id)))
    sent = [
        gateway.http.get(f"/v1/objects/{drawn.id}").json()["record"],
        gateway.http.get("/v1/objects").json()["objects"][0],
        gateway.http.get("/v1/tags/cat/objects").json()["objects"][0]["record"],
    ]
    assert sent == [json.loads(public_json(record))] * 3
    assert gateway.http.get(f"/v1/overlays/{drawn.id}").status_code == 200


def test_waiting_for_it_ends_with_the_record_that_has_it(gateway: Running) -> None:
    ref = gateway.put("a.png", png("a"))
    gateway.enter(ref)
    gateway.finish(ref, "cat")
    location = gateway.http.post("/v1/objects/inbox/a.png:segment").headers["Location"]
    time.sleep(0.01)  # the next record is newer by the clock
    gateway.enter(ref, force=True, segment="dense")
    draw(gateway, ref)
    gateway.wiring.inbox.prepare()
    gateway.wiring.inbox.done([entry for entry, _ in gateway.wiring.inbox.read("test", 10, None)])
    answer = gateway.http.get(f"{location}&wait=5").json()
    assert answer["record"]["segmentation"]["method"] == "dense"
