"""What the README and the documentation say exists: commands, options, settings, links, files."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml
from PIL import Image

from ops import documentation, reference
from ops.pictures import architecture
from ops.reference import commands
from tests.contract import real_servers
from tests.documents import (
    DECISIONS,
    GUIDES,
    INLINE,
    PAGES,
    README,
    ROOT,
    blocks,
    links,
    name_of,
    of_wildtag,
    prose,
)
from tests.documents import typed as typed_lines
from workers.cli.main import app
from workers.evaluation.report import FIGURES, SHOWN_FIGURES
from workers.lifecycle.record_view import FIELDS
from workers.settings.secret_settings import FILE_VARIABLES
from workers.settings.settings import Settings

NUMBERED = [page for page in DECISIONS if page.name != "README.md"]
MOST_LINES = 200  # of the README
MOST_WIDE = 145
GENERAL = {"--help", "--version", "--install-completion", "--show-completion"}
# where no code is meant: what the other end of a command is called
PATHS = re.compile(r"(?:vectordb|tasks|workers|ops|tests|docs)/[\w./-]*\w/?")

each_page = pytest.mark.parametrize("page", PAGES, ids=name_of)
each_guide = pytest.mark.parametrize("page", GUIDES, ids=name_of)


def test_the_readme_is_short() -> None:
    assert len(README.read_text().splitlines()) <= MOST_LINES


def test_the_list_of_guides_has_each_guide_once() -> None:
    folder = ROOT / "docs/how-to"
    listed = re.findall(r"^\|.*\]\(([\w-]+\.md)\) \|$", (folder / "index.md").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(page.name for page in folder.glob("*.md") if page.name != "index.md")


def test_the_readme_lists_each_guide_once() -> None:
    listed = [link for line in README.read_text().splitlines() if line.startswith("| ") for link in links_of(line)]
    assert [one for one in dict.fromkeys(listed) if listed.count(one) > 1] == []


def links_of(line: str) -> list[str]:
    return re.findall(r"\]\((docs/how-to/[\w-]+\.md)\)", line)


@each_page
def test_tables_are_whole_and_lines_are_short(page: Path) -> None:
    """A blank line within a table ends it. Only links and tables may be longer than a screen is wide."""
    lines = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL).splitlines()
    for before, line, after in zip(["", *lines], lines, [*lines[1:], ""], strict=False):
        if line.startswith("|") and not before.startswith("|"):
            assert re.fullmatch(r"\|[ :|-]+\|", after), f"a table without a head: {line}"
        assert len(line) <= MOST_WIDE or line.startswith("|") or "](" in line, line


@each_page
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in links(page):
        target, _, anchor = link.partition("#")
        path = page if not target else page.parent / target
        assert path.exists(), link
        if anchor and page == README:  # those of the other pages are checked by MkDocs
            assert f"\n## {anchor}" in path.read_text().lower().replace("-", " "), link


@each_guide
def test_every_wildtag_command_and_option_exists(page: Path) -> None:
    for words in of_wildtag(page):
        command: Any = typer.main.get_command(app)
        rest = list(words)
        if rest[:1] == ["COMMAND"]:
            continue
        while hasattr(command, "commands") and rest and not rest[0].startswith("-"):
            assert rest[0] in command.commands, f"there is no wildtag {' '.join(words)}"
            command = command.commands[rest.pop(0)]
        known = {
            flag for parameter in command.params for flag in (*parameter.opts, *parameter.secondary_opts)
        } | GENERAL
        options = {word.partition("=")[0] for word in rest if re.match(r"--?[a-z]", word)}
        assert options <= known, f"wildtag {' '.join(words)}"


@each_guide
def test_every_choice_of_an_option_exists(page: Path) -> None:
    """The values of options that have a fixed list of them."""
    for words in of_wildtag(page):
        command: Any = typer.main.get_command(app)
        rest = list(words)
        while hasattr(command, "commands") and rest and rest[0] in command.commands:
            command = command.commands[rest.pop(0)]
        for parameter in command.params:
            choices = getattr(parameter.type_descriptor, "choices", None)
            for flag in parameter.opts:
                if choices and flag in rest:
                    assert rest[rest.index(flag) + 1] in choices, " ".join(words)


MADE = [
    (page, target)
    for page in GUIDES
    for target in sorted({
        *(found for block in blocks(page, "console") for line in typed_lines(block)
          for found in re.findall(r"^make ([a-z]+)", line)),
        *(found for one in INLINE.finditer(prose(page)) for found in re.findall(r"^make ([a-z]+)", one["code"])),
    })
]  # fmt: skip


@pytest.mark.parametrize("target", sorted({target for _, target in MADE}))
def test_every_make_target_exists(target: str) -> None:
    if shutil.which("make") is None:
        pytest.skip("there is no make here")
    done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@each_page
def test_every_setting_it_names_exists(page: Path) -> None:
    settings = {f"WILDTAG_{name.upper()}" for name in Settings.model_fields} | FILE_VARIABLES
    of_tests = set(re.findall(r"WILDTAG_TEST_[A-Z0-9_]+[A-Z]", str(real_servers.__doc__)))
    internal = {"WILDTAG_STACK"}  # what the supervisor marks its processes with; described in a decision
    for name in re.findall(r"\bWILDTAG_[A-Z0-9_]+", page.read_text()):
        if name.endswith("_"):  # WILDTAG_FOLLOW_…: several
            assert any(one.startswith(name) for one in settings), name
        else:
            assert name in settings | of_tests | internal, name


@each_guide
def test_every_file_it_names_exists(page: Path) -> None:
    for one in INLINE.finditer(prose(page)):
        if PATHS.fullmatch(one["code"]):
            assert (ROOT / one["code"]).exists(), one["code"]


@each_guide
def test_every_module_it_runs_exists(page: Path) -> None:
    for module in re.findall(r"python -m ((?:ops|tests)(?:\.\w+)*)", page.read_text()):
        assert importlib.util.find_spec(module) is not None, module
    for name in re.findall(r"python -m ops\.bench (\w+)", page.read_text()):
        assert importlib.util.find_spec(f"ops.bench.{name}") is not None, name
    for name in re.findall(r"python -m ops\.reference ([a-z_]+)", page.read_text()):
        assert name in reference.PARTS


@each_guide
def test_log_events_and_labels_of_the_page_are_as_it_shows_them(page: Path) -> None:
    """Events in blocks of log lines; what stands in typographic quotes is a label of the page."""
    program = "".join(file.read_text() for file in sorted((ROOT / "workers").rglob("*.py")))
    shown = "".join(file.read_text() for file in sorted((ROOT / "workers" / "gateway" / "page_files").iterdir()))
    for block in blocks(page, "text"):
        for event in re.findall(r'\bevent="?((?<=")[^"]+|\w+)', block.text):
            assert f'"{event}"' in program, event
    for label in re.findall(r"“([^”]+)”", prose(page)):
        assert label in shown, label


@each_guide
def test_code_in_other_languages_can_be_read(page: Path) -> None:
    for block in blocks(page, "json"):
        json.loads(block.text)
    for block in blocks(page, "yaml"):
        yaml.safe_load(block.text)
    for block in blocks(page, "python"):
        for node in ast.walk(ast.parse(block.text)):
            if isinstance(node, ast.ImportFrom):
                module = importlib.import_module(str(node.module))
                assert all(hasattr(module, alias.name) for alias in node.names), block.text


@each_guide
def test_no_block_is_in_a_language_that_is_not_checked(page: Path) -> None:
    opened = re.findall(r"^```(\w*)$", page.read_text(), re.MULTILINE)
    # tests/acceptance/test_reverse_proxy.py runs nginx and Caddy with their blocks
    assert set(opened) <= {"", "caddy", "console", "json", "nginx", "python", "text", "yaml"}
    assert opened.count("") == len(opened) / 2, "a block has no language"


def test_the_page_of_secrets_names_each_variable_of_a_file() -> None:
    page = (ROOT / "docs" / "how-to" / "secrets.md").read_text()
    assert set(re.findall(r"WILDTAG_[A-Z0-9_]+_FILE\b", page)) >= FILE_VARIABLES


def test_the_readme_names_the_folders_that_are_there() -> None:
    named = set(re.findall(r"^\| `([a-z]+)/` \|", README.read_text(), re.MULTILINE))
    assert named
    assert all((ROOT / folder).is_dir() for folder in named)


def test_decisions_are_numbered_dated_and_in_the_index() -> None:
    index = (ROOT / "ops" / "decisions" / "README.md").read_text()
    assert [int(page.name[:4]) for page in NUMBERED] == list(range(1, len(NUMBERED) + 1))
    for page in NUMBERED:
        title, blank, date = page.read_text().splitlines()[:3]
        assert title.startswith("# ")
        assert blank == ""
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", date), page.name
        assert f"| {page.name[:4]} | {date} | [{title[2:]}]({page.name}) |" in index, page.name


def test_the_picture_is_the_one_that_the_script_makes() -> None:
    assert architecture.FILE.read_text() == architecture.svg()


def test_the_record_page_explains_every_field() -> None:
    page = (ROOT / "docs" / "reference" / "record.md").read_text()
    explained = {
        name for row in re.findall(r"^\| (`.+?) \|", page, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)
    }
    assert explained == {*FIELDS, "image_score", "text_score", "confidence"}


def test_links_between_docs_and_decisions_are_moved_to_the_built_pages() -> None:
    assert (
        documentation.moved("explanation/cost.md", "../../ops/decisions/0001-ledger.md")
        == "../decisions/0001-ledger.md"
    )
    assert documentation.moved("index.md", "../ops/decisions/README.md") == "decisions/README.md"
    assert documentation.moved("decisions/0001-ledger.md", "../../docs/glossary.md") == "../glossary.md"


def test_the_reference_has_every_command_setting_and_key() -> None:
    shown = reference.cli()
    for words, _ in commands.commands():
        assert f"## `{' '.join(words)}`" in shown
    settings = reference.settings()
    assert all(f"| `WILDTAG_{name.upper()}` |" in settings for name in Settings.model_fields)
    assert "| `WILDTAG_NOTIFY_TIMEOUT_S` | number | `15.0` | seconds |" in settings
    assert "| `P ledger` | sorted set |" in reference.redis()
    assert "| `wildtag_events_received_total` | counter | `source`, `outcome` |" in reference.metrics()
    assert "### `POST /v1/images`" in reference.http()


def test_the_site_asks_nobody_for_fonts_and_scripts() -> None:
    configuration = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    assert configuration["theme"]["font"] is False
    assert configuration["plugins"] == ["search"]
    assert "extra_javascript" not in configuration
    assert configuration["strict"] is True


def test_the_picture_of_the_page_shows_the_labels_that_the_page_has() -> None:
    sources = " ".join(file.read_text() for file in (ROOT / "workers/gateway/page_files").glob("*.[hj]*"))
    with Image.open(ROOT / "docs/images/page.png") as picture:
        labels = json.loads(picture.info.get("labels", "[]"))
    assert "Choose images" in labels
    assert [label for label in labels if f">{label}<" not in sources and f'"{label}"' not in sources] == []


def test_a_source_with_a_generated_part_says_where_its_content_is() -> None:
    found: set[str] = set()
    for page in (ROOT / "docs").rglob("*.md"):
        text = page.read_text()
        parts = list(documentation.GENERATED.finditer(text))
        assert len(parts) == text.count("<!-- generated: "), page.name
        for part in parts:
            found.add(part["name"])
            assert f"`python -m ops.reference {part['name']}`" in part["note"], page.name
    assert found == set(reference.PARTS)


def test_every_column_of_an_evaluation_is_described() -> None:
    page = (ROOT / "docs" / "how-to" / "evaluation.md").read_text()
    described = {
        name for row in re.findall(r"^\| (`.+?) \|", page, re.MULTILINE) for name in re.findall(r"`(.+?)`", row)
    }
    assert {*FIGURES, *SHOWN_FIGURES} - described == {"images"}, "it needs no description"
