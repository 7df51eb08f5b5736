"""Scopes are ordered: each includes those below it."""

from __future__ import annotations

import pytest

from vectordb.errors import Permanent
from workers.gateway.api_keys import Scope
from workers.settings.settings import Settings


def test_each_scope_includes_those_below() -> None:
    assert Scope.READ < Scope.WRITE < Scope.ADMIN
    assert [Scope.named(label) for label in ("read", "write", "admin")] == list(Scope)


@pytest.mark.parametrize("label", ["", "READ", "root"])
def test_there_are_no_others(label: str) -> None:
    with pytest.raises(Permanent, match="read, write, admin"):
        Scope.named(label)


def test_the_admin_key_of_the_settings_is_long_and_never_shown() -> None:
    with pytest.raises(ValueError, match="at least 16"):
        Settings(admin_key="x" * 15)
    assert "x" * 16 not in repr(Settings(admin_key="x" * 16))
    assert Settings.is_secret("WILDTAG_ADMIN_KEY")
