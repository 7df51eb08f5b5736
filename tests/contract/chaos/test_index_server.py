"""The made-up Qdrant server holds images over REST, and fails as it is told to."""

from __future__ import annotations

import numpy as np
import pytest

from ops.bench.qdrant_rest import ServerTrouble, rest_server
from vectordb.errors import Transient
from vectordb.image_server import ServerImages
from vectordb.images import ImageEntry, ImageLabels
from vectordb.index import WrongDimension
from vectordb.server_client import connect

VECTORS = np.eye(4, dtype=np.float32)[:2]


def test_images_are_stored_labelled_and_found_and_the_server_fails_as_it_is_told_to() -> None:
    with rest_server() as server:
        client = connect(server.url, grpc_port=0)
        images = ServerImages.create(client, "images", 4)
        images.put([ImageEntry("photos", name, "e1") for name in "ab"], VECTORS)
        images.label([ImageLabels("photos", "a", "e1", ("cat",), {"cat": 1.0})])
        assert [entry.key for entry in images.search_words({"cat": 1.0}, 5).entries] == ["a"]
        (found,) = images.search(VECTORS[1:], 1)
        assert [entry.key for entry in found.entries] == ["b"]
        server.trouble = ServerTrouble.ERRORS
        with pytest.raises(Transient):
            images.search(VECTORS[1:], 1)
        server.trouble = ServerTrouble.WRONG_DIMENSION
        with pytest.raises(WrongDimension):
            images.search(VECTORS[1:], 1)
        server.trouble = ServerTrouble.NONE
        assert images.count() == 2
        client.close()
