"""The files around the code agree with each other: workflows, hooks, templates, and what they name."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
GUIDES = [ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", GITHUB / "PULL_REQUEST_TEMPLATE.md"]
SCHEMAS = [
    *(("vendor.github-workflows", path) for path in WORKFLOWS),
    *(("custom.github-workflows-require-timeout", path) for path in WORKFLOWS),
    ("vendor.dependabot", GITHUB / "dependabot.yml"),
    ("vendor.github-issue-config", GITHUB / "ISSUE_TEMPLATE" / "config.yml"),
    *(
        ("vendor.github-issue-forms", path)
        for path in sorted((GITHUB / "ISSUE_TEMPLATE").glob("*.yml")) if path.name != "config.yml"
    ),
]  # fmt: skip


def _loaded(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(path.read_text())
    return content


def _jobs() -> Iterator[Any]:
    for path in WORKFLOWS:
        for name, job in _loaded(path)["jobs"].items():
            yield pytest.param(job, id=f"{path.stem}-{name}")


def _steps() -> Iterator[dict[str, Any]]:
    for path in WORKFLOWS:
        for job in _loaded(path)["jobs"].values():
            yield from job.get("steps", ())


def test_make_lint_and_the_hooks_run_the_same_commands() -> None:
    makefile = (ROOT / "Makefile").read_text()
    recipe = re.search(r"^lint:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    documentation = re.search(r"^MKDOCS = (.*)$", makefile, re.MULTILINE)
    assert recipe
    assert documentation
    commands = recipe[1].replace("$(MKDOCS)", documentation[1]).replace("$(VENV)/", ".venv/")
    lint = [line.strip().lstrip("@") for line in commands.splitlines()]
    (repo,) = _loaded(ROOT / ".pre-commit-config.yaml")["repos"]
    assert [hook["entry"] for hook in repo["hooks"]] == lint
    assert all(hook["language"] == "system" and not hook["pass_filenames"] for hook in repo["hooks"])


@pytest.mark.parametrize(("schema", "path"), [pytest.param(s, p, id=f"{s}-{p.stem}") for s, p in SCHEMAS])
def test_the_schema_accepts_it(schema: str, path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, path],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_actions_are_pinned_by_commit_and_name_their_version() -> None:
    used = [line for path in WORKFLOWS for line in path.read_text().splitlines() if re.search(r"\buses:", line)]
    assert used
    for line in used:
        if re.fullmatch(r"\s+uses: \$/\.github/workflows/[\w-]+\.yml", line):  # of this repository and commit
            continue
        assert re.fullmatch(r"\s+(- )?uses: [\w./-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", line), line


@pytest.mark.parametrize("job", list(_jobs()))
def test_a_job_may_do_what_it_says_and_ends(job: dict[str, Any]) -> None:
    """Workflows grant nothing; each job takes what it needs, and none keeps the token where its commands find it."""
    assert job["permissions"]
    if "uses" in job:  # another workflow here, whose jobs say how long they may take
        assert (ROOT / job["uses"].removeprefix("$/")).is_file()
        return
    assert job["timeout-minutes"] <= 90
    for step in job["steps"]:
        if "actions/checkout@" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_grants_nothing_and_runs_once_a_branch(path: Path) -> None:
    content = _loaded(path)
    assert content["permissions"] == {}
    assert content["concurrency"]["group"]


def test_the_workflow_tests_every_version_of_python_that_is_claimed() -> None:
    tested = _loaded(GITHUB / "workflows" / "check.yml")["jobs"]["test"]["strategy"]["matrix"]["python"]
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    prefix = "Programming Language :: Python :: "
    assert tested == [one.removeprefix(prefix) for one in classifiers if one.startswith(f"{prefix}3.")]


def test_the_workflow_installs_the_packages_that_tests_need() -> None:
    """Those of .ci/run, without the two that a runner has."""
    wanted = re.search(r"^wanted=\((.*)\)$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    installed = re.search(
        r"--no-install-recommends (.*)$", (GITHUB / "workflows" / "check.yml").read_text(), re.MULTILINE
    )
    assert wanted
    assert installed
    assert set(installed[1].split()) == set(wanted[1].split()) - {"make", "chromium"}


def test_workflows_run_what_is_there() -> None:
    for step in _steps():
        for script in re.findall(r"python3? ((?:ops|tests)/\S+\.py)", step.get("run", "")):
            assert (ROOT / script).is_file(), script


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)
def test_what_a_guide_names_exists(guide: Path) -> None:
    """Files and folders in code marks, targets of links, and targets of make."""
    text = guide.read_text()
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    named = re.findall(r"`((?:\.?[\w-]+/)+[\w.-]*|[\w-]+\.(?:md|toml|txt|yml|py))`", prose)
    linked = [link for link in re.findall(r"\]\(([^)#]+)[^)]*\)", prose) if "://" not in link]
    assert named
    for path in named:
        assert (ROOT / path).exists(), path
    for link in linked:
        assert (guide.parent / link).exists(), link
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:`|\$ )make ([a-z]+)", text)) <= targets


def test_the_changelog_has_the_version_and_a_place_for_what_comes() -> None:
    """The workflow that releases looks for the same heading."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert re.fullmatch(rf"{re.escape(version)} - \d{{4}}-\d\d-\d\d", headings[1])


def test_tests_and_tools_read_nothing_beside_the_repository() -> None:
    """No path counts up past the root, and no link leads out."""
    for folder in ("tests", "ops"):
        for path in (ROOT / folder).rglob("*"):
            assert not path.is_symlink(), path
            if path.suffix != ".py":
                continue
            depth = len(path.relative_to(ROOT).parts)
            for number in re.findall(r"Path\(__file__\)(?:\.resolve\(\))?\.parents\[(\d+)\]", path.read_text()):
                assert int(number) < depth, path


def test_every_folder_of_test_data_says_where_it_is_from() -> None:
    data = ROOT / "tests" / "data"
    index = (data / "README.md").read_text()
    for folder in data.iterdir():
        if folder.is_dir():
            assert (folder / "README.md").is_file(), folder
            assert f"({folder.name}/README.md)" in index, folder
