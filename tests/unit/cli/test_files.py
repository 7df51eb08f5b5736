"""Files in a folder that is named on the command line: those that would be objects of an inbox."""

from __future__ import annotations

from pathlib import Path

from workers.cli.files import expanded


def test_hidden_files_and_folders_and_side_files_are_left_out_unless_they_are_named(tmp_path: Path) -> None:
    folder = tmp_path / ".here"  # named, so it does not matter that it is hidden
    for name in ("a.jpg", "in/b.jpg", ".c.jpg", ".cache/d.jpg", "in/.cache/deep/e.jpg", "@eaDir/f.jpg", "Thumbs.db"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert [path.relative_to(folder).as_posix() for path in expanded([folder])] == ["a.jpg", "in/b.jpg"]
    named = [folder / ".c.jpg", folder / "Thumbs.db"]
    assert list(expanded(named)) == named
