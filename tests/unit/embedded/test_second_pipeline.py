"""Two commands do not change the encoder of one home at the same time."""

from __future__ import annotations

from pathlib import Path

import pytest

from vectordb.errors import Permanent
from workers.embedded.second_pipeline import alone


def test_a_second_command_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    with alone(tmp_path), pytest.raises(Permanent, match="another command changes the encoder"), alone(tmp_path):
        pass
    with alone(tmp_path):
        pass
