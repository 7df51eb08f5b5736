"""Shows that an image without tags has a reason, in the record as well."""

from __future__ import annotations

import msgspec
import pytest

from tasks.cache import LRUCache
from tasks.confidence import FEATURES, ConfidenceModel
from tasks.distinct import distinct
from tasks.message_parts import Background, Unknown
from tasks.messages import Extracted, Scored
from tasks.scoring import score
from tests.unit.stages.made_up import SPACE, MadeUpText, extracted, random_units
from workers.cli.show import line
from workers.client import answers
from workers.lifecycle.outcomes import done
from workers.lifecycle.record_view import public_json

MODEL = ConfidenceModel(
    space_id=SPACE.id, features=FEATURES, centres=(0.0,) * 5, scales=(1.0,) * 5, weights=(1.0,) * 5, intercept=-1.0,
    threshold=0.4,
)  # fmt: skip


def batch() -> Extracted:
    made = extracted(random_units(3, 1), random_units(4, 1), [list("abcd")])
    return msgspec.structs.replace(made, backgrounds=(Background(0.1, 0.1),), featureless=(False,))


def scored(one: Extracted, **options: object) -> Scored:
    return score(one, MadeUpText(), LRUCache(100), **options)  # type: ignore[arg-type]  # any option


def test_an_image_with_tags_needs_no_reason() -> None:
    assert scored(batch()).unknown == (None,)


@pytest.mark.parametrize(
    ("changed", "options", "code", "says"),
    [
        ({"featureless": (True,)}, {"detect_featureless": True}, "featureless", "shows nothing"),
        ({"hits": ((),)}, {}, "no-captions", "there are no captions"),
        ({}, {"unknown_similarity": 0.6}, "no-near-caption", "nearest caption 0.50, minimum 0.60"),
        ({}, {"min_score": 0.99}, "low-score", "minimum 0.99 (score)"),
        ({}, {"evidence_similarity": 0.6}, "low-evidence", "0.50, minimum 0.60 (similarity of its best caption)"),
        ({}, {"judge": MODEL, "min_confidence": 0.99}, "low-confidence", "minimum 0.99"),
        ({}, {"judge": MODEL, "min_confidence": 0.99, "reduce": distinct}, "low-confidence", "minimum 0.99"),
    ],
)
def test_each_reason_has_a_code_and_what_was_missed(
    changed: dict[str, object], options: dict[str, object], code: str, says: str
) -> None:
    result = scored(msgspec.structs.replace(batch(), **changed), **options)
    assert result.tags == ((),)
    (why,) = result.unknown
    assert why is not None
    assert why.code == code
    if why.label is not None:
        every = scored(batch(), judge=options.get("judge"), max_tags=None).tags[0]
        assert why.label == every[0].label
        assert why.value == (0.5 if code == "low-evidence" else every[0].strength)
    if why.value is not None and why.least is not None:
        assert why.value < why.least
    (record,) = done(Scored.decode(result.encode()), 0.0, {})
    assert (record.unknown, record.unknown_because) == (True, why)
    assert says in line(record)


def test_a_value_just_below_the_minimum_does_not_look_like_it() -> None:
    (record,) = done(scored(batch(), min_score=0.99), 0.0, {})
    near = msgspec.structs.replace(record, unknown_because=Unknown("low-confidence", "cat", 0.3968, 0.4))
    assert "best tag cat 0.397, minimum 0.400" in line(near)


def test_a_part_of_a_batch_keeps_its_reasons() -> None:
    two = msgspec.structs.replace(
        scored(extracted(random_units(3, 2), random_units(4, 2), [["a"], ["b"]])),
        unknown=(None, Unknown("featureless")),
    )
    assert two.only([1]).unknown == (Unknown("featureless"),)
    older = msgspec.structs.replace(two, unknown=())
    assert [record.unknown_because for record in done(older.only([1]), 0.0, {})] == [None]


def test_a_client_reads_the_reasons_of_a_newer_gateway() -> None:
    (record,) = done(msgspec.structs.replace(scored(batch()), tags=((),), unknown=(Unknown("too-dark"),)), 0.0, {})
    body = msgspec.json.decode(public_json(record))
    body["unknown_because"]["more"] = 1
    found = msgspec.convert(body, answers.Record)
    assert found.unknown_because is not None
    assert found.unknown_because.code == "too-dark"
    assert "too-dark" in line(found)
