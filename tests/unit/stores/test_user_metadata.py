"""Shows what may be written beside an object, and that S3's headers hold it unchanged."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.message_parts import UserMetadata
from workers.stores.user_metadata import (
    LIMIT,
    PREFIX,
    BadMetadata,
    checked,
    from_headers,
    from_name,
    headers_of,
)

TEXT = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=40)
NAMES = st.one_of(
    TEXT.filter(lambda text: bool(text.strip())), st.sampled_from(["client-id", "wildtag", "a_b", "A", "a"])
)
AWKWARD = [
    {"title": "Größe: 3 µm, 日本語, \N{GRINNING FACE}"},
    {"größe": "x", "Colour": "red", "colour": "blue", "a_b": "1"},
    {"title": "  two  spaces  "}, {"empty": ""}, {"raw": "=?utf-8?q?abc?="}, {"percent": "caf%C3%A9 100%"},
    {"wildtag": "mine", "client-id": "also mine"}, {"quotes": "\"a\\b\"; c=d, 'e'"}, {"json": '{"a": [1, 2]}'},
    {"joined": "\N{WOMAN}\N{ZERO WIDTH JOINER}\N{GIRL}"},
]  # fmt: skip


def through_http(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers as a client gets them: names in another case, values without blanks at their ends."""
    assert all(value.isascii() and value.isprintable() for value in headers.values())
    return {name.title(): value.strip() for name, value in headers.items()}


@pytest.mark.parametrize("metadata", AWKWARD)
def test_what_is_written_is_read_from_the_headers(metadata: dict[object, object]) -> None:
    user = checked("Ferien in Köln.jpg", "auftrag/4711 ü", metadata)
    assert user is not None
    assert dict(user.values) == metadata
    assert from_headers(through_http(headers_of(user))) == user


@given(st.dictionaries(NAMES, TEXT, max_size=6), st.none() | TEXT.filter(str.strip), st.none() | TEXT)
def test_any_text_is_read_as_it_was_written(
    metadata: dict[object, object], client_id: str | None, name: str | None
) -> None:
    try:
        user = checked(name, client_id, metadata)
    except BadMetadata:  # too long
        return
    if user is not None:
        assert from_headers(through_http(headers_of(user))) == user


def test_plain_names_and_values_can_be_read_by_everybody() -> None:
    user = checked("cat.jpg", "4711", {"title": "Sunset in Paris", "camera.owner": "Anna"})
    assert user is not None
    assert headers_of(user) == {
        "x-amz-meta-title": "Sunset in Paris", "x-amz-meta-camera.owner": "Anna", "x-amz-meta-client-id": "4711",
        "Content-Disposition": "inline; filename*=UTF-8''cat.jpg",
    }  # fmt: skip


@pytest.mark.parametrize(
    "metadata",
    [
        {"text": "x" * 2000}, {"text": "x" * (LIMIT - 4)}, {"text": "ü" * 1022}, {"text": "日本" * 340},
        {f"k{number:02}": "x" * 37 for number in range(51)},
        {"uuids": "".join(random.Random(1).choices("0123456789abcdef-", k=2040))},
    ],
)  # fmt: skip
def test_two_kilobytes_fit_into_the_headers_of_s3(metadata: dict[object, object]) -> None:
    user = checked("x" * 251 + ".jpg", None, metadata)
    assert user is not None
    headers = headers_of(user)
    assert sum(len(name) + len(value) for name, value in headers.items() if name.startswith(PREFIX)) <= LIMIT
    assert from_headers(through_http(headers)) == user


@pytest.mark.parametrize(
    ("given_", "field", "reason"),
    [
        ({"metadata": {"text": "x" * LIMIT}}, "metadata", "2,052 bytes; the limit is 2,048"),
        ({"metadata": {"a": "x" * 1100}, "client_id": "y" * 1000}, "metadata", "2,101 bytes"),
        ({"metadata": {"a": "line\nbreak"}}, "metadata", "the value of 'a' has the character U+000A"),
        ({"metadata": {"a": "\x00"}}, "metadata", "U+0000"), ({"metadata": {"a": "\ud800"}}, "metadata", "U+D800"),
        ({"metadata": {"a\tb": "c"}}, "metadata", "U+0009"), ({"metadata": {"": "c"}}, "metadata", "is no name"),
        ({"metadata": {"a": 3}}, "metadata", "the value of 'a' is a number, not a text"),
        ({"metadata": {"a": True}}, "metadata", "true or false"), ({"metadata": {"a": None}}, "metadata", "null"),
        ({"metadata": {"a": {"b": "c"}}}, "metadata", "an object"),
        ({"metadata": {1: "b"}}, "metadata", "is no name"),
        ({"metadata": {"a" * 129: "b"}}, "metadata", "129 bytes; the limit is 128"),
        ({"client_id": "a\x7fb"}, "client_id", "U+007F"), ({"client_id": " "}, "client_id", "empty"),
        ({"file_name": "a\nb.jpg"}, "file_name", "U+000A"), ({"file_name": "gpj\u202e.jpg"}, "file_name", "U+202E"),
        ({"metadata": {"a": "b\u2066c"}}, "metadata", "U+2066"),
        ({"metadata": {"\u202d": "c"}}, "metadata", "U+202D"),
        ({"client_id": "a\u2069"}, "client_id", "U+2069"), ({"file_name": "ü" * 128}, "file_name", "256 bytes"),
    ],
)  # fmt: skip
def test_what_cannot_be_stored_is_refused_with_a_reason(given_: dict[str, object], field: str, reason: str) -> None:
    with pytest.raises(BadMetadata) as refused:
        checked(**given_)  # type: ignore[arg-type]
    assert refused.value.field == field
    assert reason in str(refused.value)


def test_random_text_at_the_limit_is_refused_if_it_cannot_be_compressed() -> None:
    text = "".join(random.Random(2).choices([chr(code) for code in range(33, 127)], k=2040))
    with pytest.raises(BadMetadata, match="cannot be compressed"):
        checked(None, None, {"text": text})


def test_nothing_is_nothing() -> None:
    assert checked() is None
    assert checked("", None, {}) is None
    assert from_headers({"content-type": "image/png", "etag": "x"}) is None


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("C:\\photos\\cat.jpg", "cat.jpg"), ("/home/a/cat.jpg", "cat.jpg"),
        ("a\nb.jpg", "a\N{REPLACEMENT CHARACTER}b.jpg"),
        ("", None), ("..", ".."), ("folder/", "folder"), ("ü" * 200 + ".jpeg", "ü" * 125 + ".jpeg"),
        ("x" * 300, "x" * 255),
    ],
)  # fmt: skip
def test_the_name_of_a_file_is_kept_without_its_path(name: str, kept: str | None) -> None:
    assert from_name(name) == kept


@pytest.mark.parametrize(
    ("headers", "read"),
    [
        ({"x-amz-meta-title": "Größe".encode().decode("latin-1")}, {"title": "Größe"}),  # raw UTF-8
        ({"x-amz-meta-title": "Gr\xf6\xdfe"}, {"title": "Größe"}),  # raw Latin-1
        ({"x-amz-meta-title": "=?UTF-8?Q?Gr=C3=B6=C3=9Fe?="}, {"title": "Größe"}),  # Amazon's answer
        ({"x-amz-meta-title": "=?UTF-8?B?R3LDtg==?= =?utf-8?b?w59l?="}, {"title": "Größe"}),
        ({"x-amz-meta-title": "Gr%C3%B6%C3%9Fe"}, {"title": "Größe"}), ({"x-amz-meta-p": "100%25"}, {"p": "100%25"}),
        ({"x-amz-meta-title": "=?no-such?q?abc?="}, {"title": "=?no-such?q?abc?="}),
        ({"x-amz-meta-title": "=?utf-8?b?!?="}, None),
        ({"x-amz-meta-bad": "a\x01b"}, {"bad": "a\N{REPLACEMENT CHARACTER}b"}),
        ({"x-amz-meta-wildtag": "somebody's"}, {"wildtag": "somebody's"}),
        ({"x-amz-meta-wildtag": "zlib:AAAA"}, {"wildtag": "zlib:AAAA"}), ({"x-amz-meta-": "x"}, {}),
        ({"X-Amz-Meta-Mtime": "1700000000"}, {"mtime": "1700000000"}),
        ({f"x-amz-meta-{number}": "x" * 4000 for number in range(5)}, {"0": "x" * 4000, "1": "x" * 4000}),
    ],
)  # fmt: skip
def test_headers_of_others_are_read_leniently(headers: dict[str, str], read: dict[str, str] | None) -> None:
    user = from_headers(headers)
    if read is not None:
        assert dict(user.values if user else ()) == read
    json.dumps(dict(user.values) if user else {}, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('attachment; filename="cat.jpg"', "cat.jpg"), ("inline; filename*=UTF-8''k%C3%A4se.jpg", "käse.jpg"),
        ("attachment; filename=käse.jpg".encode().decode("latin-1"), "käse.jpg"), ("inline", None),
        ('attachment; filename="a/../b.jpg"', "b.jpg"), ("attachment; filename*=no-such''x", "x"),
        ('attachment; filename="=?utf-8?q?k=C3=A4se.jpg?="', "käse.jpg"), ("", None),
    ],
)  # fmt: skip
def test_the_file_name_comes_from_the_content_disposition(disposition: str, name: str | None) -> None:
    user = from_headers({"Content-Disposition": disposition})
    assert (user and user.file_name) == name


def test_headers_and_metadata_are_of_one_type() -> None:
    assert from_headers(headers_of(UserMetadata("a.jpg"))) == UserMetadata("a.jpg")
