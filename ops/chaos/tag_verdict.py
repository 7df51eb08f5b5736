"""The tags, segments and statements of a run, compared with those of an undisturbed computation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet

from ops.chaos.captions import Switches
from ops.chaos.people import METHOD, People, Said, standing
from ops.chaos.truth import Scores, Truth, parts
from tasks.labels.index_form import index_form
from tasks.message_parts import place_of
from workers.lifecycle.record import Record

Add = Callable[[str, str], None]
Place = tuple[int, str]
"""A picture, and the version of the captions that it is tagged with."""

_CLOSE = 1e-3  # scores of two batches differ in the last digits


def judge_tags(
    add: Add, records: Mapping[str, Record], there: Mapping[str, str], expected: Mapping[str, int],
    came_from: Mapping[str, str], people: People, truth: Truth, unfollowed: frozenset[str] = frozenset(),
) -> None:  # fmt: skip
    """The tags of the method, and what people said.

    ``there``: key → ETag of what is in the bucket. ``expected``: key → picture. ``came_from``: the keys from which
    objects were moved. ``unfollowed``: versions of whose lessons images may know only a part.
    """
    done = {
        key: record for key, record in sorted(records.items())
        if record.state == "done" and expected.get(key, -1) >= 0 and record.etag == there.get(key)
    }  # fmt: skip
    right = truth.tags((expected[key], record.captions_version) for key, record in done.items())
    holding = _holding(done, came_from, people)
    withheld: dict[int, set[str]] = {}  # by picture: what an exemplar of the same content rejects
    for key, said in holding.items():
        for one in said:
            if one.accepted is False:
                withheld.setdefault(expected[key], set()).add(index_form(one.label))
    places = {key: (expected[key], record.captions_version) for key, record in done.items()}
    differing = _differing(done, places, right, people)
    concerned = _concerned({places[key] for key in differing if places[key][1] in unfollowed}, right, truth)
    for key in differing:
        if places[key] not in concerned:
            tags = [tag.label for tag in done[key].tags if not tag.source]
            add("wrong", f"{key}: {sorted(tags)} in place of {sorted(right[places[key]])} ({places[key][1]})")
    for key, record in done.items():
        picture = expected[key]
        own = {index_form(one.label) for one in holding.get(key, ()) if one.accepted}
        for tag in record.tags:
            if index_form(tag.label) in withheld.get(picture, set()) - own:
                add("stale", f"{key}: {tag.label} was rejected for the same picture")
            if tag.source == "example" and tag.example:
                _judge_example(add, key, place_of(tag.example.object_id)[1], tag.label, people)
    _judge_said(add, done, expected, holding, people)


def _differing(
    done: Mapping[str, Record], places: Mapping[str, Place], right: Mapping[Place, Scores], people: People
) -> list[str]:
    """The keys of records with other tags of the method than these, but for labels that somebody has rejected."""
    rejected = {index_form(one.label) for one in people.said if one.accepted is False}
    found = []
    for key, record in done.items():
        tags = {tag.label: tag.score for tag in record.tags if not tag.source}
        wanted = right[places[key]]
        held = {label for label in wanted if label in tags or index_form(label) not in rejected}
        if not _same(tags, {label: wanted[label] for label in held}):
            found.append(key)
    return found


def _concerned(places: AbstractSet[Place], right: Mapping[Place, Scores], truth: Truth) -> set[Place]:
    """Those of these pictures and versions whose tags a lesson has changed."""
    untaught = truth.untaught_tags(places) if places else {}
    return {place for place in places if not _same(untaught[place], right[place])}


def _same(one: Scores, other: Scores) -> bool:
    return one.keys() == other.keys() and all(abs(one[label] - other[label]) <= _CLOSE for label in one)


def _holding(done: Mapping[str, Record], came_from: Mapping[str, str], people: People) -> dict[str, list[Said]]:
    """The statements that hold of each object: the last ones of each label, if of the version that is there."""
    found = {}
    for key, record in done.items():
        last = standing(people.said, came_from, key).values()
        sure = [one for one in last if one.etag == record.etag and (key, one.label) not in people.unsure]
        if sure:
            found[key] = sure
    return found


def _judge_example(add: Add, key: str, exemplar: str, label: str, people: People) -> None:
    form = index_form(label)
    said = [one for one in people.said if one.key == exemplar and index_form(one.label) == form]
    if not said or any((exemplar, one.label) in people.unsure for one in said):
        return  # it was moved there, or it is not known what was said
    if not said[-1].accepted and said[-1].problem is None:
        add("stale", f"{key}: {label} was taken back at {exemplar}")


def _judge_said(
    add: Add,
    done: Mapping[str, Record],
    expected: Mapping[str, int],
    holding: Mapping[str, list[Said]],
    people: People,
) -> None:
    for key, said in holding.items():
        sources = {index_form(tag.label): tag.source or "" for tag in done[key].tags}
        for one in said:
            source = sources.get(index_form(one.label))
            if one.accepted and source != "person":
                add("lost", f"{key}: {one.label} was accepted, and is {source or 'not there'}")
            elif one.accepted is False and source is not None:
                add("lost", f"{key}: {one.label} was rejected, and is there")
            elif one.accepted is None and source == "person":
                add("stale", f"{key}: {one.label} was taken back, and is there")
            if not one.accepted or one.problem is not None:
                continue
            for other, record in done.items():  # copies of the exemplar gain what was accepted there
                if expected[other] != expected[key] or any(
                    s.label == one.label for s in people.said if s.key == other
                ):
                    continue
                if index_form(one.label) not in {index_form(tag.label) for tag in record.tags}:
                    add("lost", f"{other}: {one.label} was accepted for the same picture {key}, and is not there")


def judge_segments(
    add: Add, records: Mapping[str, Record], expected: Mapping[str, int], asked: Mapping[str, bool], people: People,
    truth: Truth,
) -> None:  # fmt: skip
    """Uploads that were to be segmented are, as an undisturbed computation does it; others are not.

    ``asked``: the keys of these uploads, and whether they must be: a request may be lost.
    """
    segmented = {}
    for key in sorted(asked.keys() & records.keys() & expected.keys()):
        record = records[key]
        if record.state != "done":
            continue
        if record.segmentation is None and not asked[key]:
            continue
        if record.segmentation is None or record.segmentation.error or record.segmentation_method != METHOD:
            why = record.segmentation and record.segmentation.error
            add("lost", f"{key}: was to be segmented, and is not ({why})")
        elif not any(one.key == key for one in people.said):
            segmented[key] = record
    _compare_segments(add, segmented, expected, truth)
    for key, record in records.items():
        if record.segmentation is not None and key not in asked:
            add("wrong", f"{key}: is segmented, and nobody asked for it")


def _compare_segments(add: Add, segmented: Mapping[str, Record], expected: Mapping[str, int], truth: Truth) -> None:
    places = {key: (expected[key], one.captions_version) for key, one in segmented.items()}
    right = truth.segments(places.values(), METHOD)
    differing: dict[str, str] = {}
    for key, record in segmented.items():
        found = record.segmentation.segments if record.segmentation else ()
        got = parts({"label": one.label, "area": one.area} for one in found)
        wanted = right[places[key]]
        if [label for label, _ in got] != [label for label, _ in wanted]:
            differing[key] = f"{key}: the segments {got} in place of {wanted}"
    untaught = truth.untaught_segments({places[key] for key in differing}, METHOD) if differing else {}
    for key, text in differing.items():
        if untaught[places[key]] == right[places[key]]:  # what was taught before and after it was segmented
            add("wrong", text)


def judge_lessons(add: Add, switches: Switches, taught: Callable[[str], set[str]]) -> None:
    """Each version has the captions that it was taught. ``taught`` reads those of a version."""
    for version in sorted({one.version for one in switches.lessons}):
        lessons = [one for one in switches.lessons if one.version == version]
        there = taught(version)
        for text in sorted({one.text for one in lessons if one.done is not None} - there):
            add("lost", f"{version}: was taught {text!r}, and does not have it")
        for text in sorted(there - {one.text for one in lessons}):
            add("leaked", f"{version}: has {text!r}, and nobody taught it")
