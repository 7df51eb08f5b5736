"""Which homes ``captions copy`` means, and which key and port belong to which server."""

from __future__ import annotations

from pathlib import Path

import pytest

from vectordb.index import IndexFault
from workers.embedded.caption_copying import BadSide, Patience, sides
from workers.settings.settings import Settings

A, B = "http://a.example:6333", "http://b.example:7333"


def settings(tmp_path: Path, **given: object) -> Settings:
    return Settings.model_validate({"home": tmp_path, **given})


def test_the_side_that_is_not_named_is_the_settings_own(tmp_path: Path) -> None:
    here, there = sides(settings(tmp_path), None, A)
    assert (here.settings.qdrant_url, there.settings.qdrant_url) == (None, A)
    assert here.name == f"the embedded home {tmp_path}"
    here, there = sides(settings(tmp_path), A, None)
    assert (here.settings.qdrant_url, there.settings.qdrant_url) == (A, None)
    here, there = sides(settings(tmp_path, qdrant_url=A), None, "embedded")
    assert (here.settings.qdrant_url, there.settings.qdrant_url) == (A, None)
    (tmp_path / "other").mkdir()
    here, there = sides(settings(tmp_path), None, str(tmp_path / "other"))
    assert there.settings.captions_folder == tmp_path / "other" / "captions"


@pytest.mark.parametrize(
    ("source", "target"), [(None, None), (None, "embedded"), ("embedded", None), (A, A), (None, "localhost:6333")]
)
def test_what_names_no_other_home_is_refused(tmp_path: Path, source: str | None, target: str | None) -> None:
    with pytest.raises(BadSide):
        sides(settings(tmp_path), source, target)


def test_a_key_is_shown_to_the_server_that_it_is_for_alone(tmp_path: Path) -> None:
    def keys(source: str | None, target: str | None, **given: object) -> list[str | None]:
        return [side.settings.qdrant_api_key for side in sides(settings(tmp_path, **given), source, target)]

    assert keys(None, A, qdrant_api_key="k")[1] == "k"  # the only server there is
    assert keys(A, B, qdrant_api_key="k") == [None, None]  # which of the two?
    assert keys(None, B, qdrant_api_key="k", qdrant_url=A) == ["k", None]
    assert keys(B, None, qdrant_api_key="k", qdrant_url=A) == [None, "k"]
    both = {"copy_from_api_key": "from", "copy_to_api_key": "to"}
    assert keys(A, B, qdrant_api_key="k", **both) == ["from", "to"]


def test_grpc_is_used_where_its_port_is_known(tmp_path: Path) -> None:
    def ports(source: str | None, target: str | None, **given: object) -> list[int]:
        return [side.settings.qdrant_grpc_port[0] for side in sides(settings(tmp_path, **given), source, target)]

    assert ports(None, A)[1] == 6334
    assert ports(None, "http://a.example")[1] == 6334
    assert ports(None, B)[1] == 0  # another server may listen on the usual one
    assert ports(None, B, qdrant_grpc_port=7334)[1] == 7334
    assert ports(None, A, qdrant_url=B, qdrant_grpc_port=7334) == [7334, 6334]
    assert ports(None, A, qdrant_url=B, qdrant_grpc_port=0) == [0, 0]
    assert ports(A, B) == [6334, 0]


def test_a_secret_in_an_address_is_refused_and_not_shown(tmp_path: Path) -> None:
    with pytest.raises(BadSide) as refused:
        sides(settings(tmp_path), None, "https://me:secret@a.example:6333")
    assert "secret" not in str(refused.value)


def test_patience_ends_where_nothing_goes_on() -> None:
    said: list[str] = []
    patience = Patience(said.append, patience_s=0.05, pause_s=0.1)
    patience(IndexFault("away"))
    with pytest.raises(IndexFault):
        patience(IndexFault("still away"))
    patience.progress()
    patience(IndexFault("away again"))
    assert said == ["away", "away again"]
