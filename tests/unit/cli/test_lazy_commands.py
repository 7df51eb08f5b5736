"""Help, completion and wrong usage import no command, and list what the modules of the commands say."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from workers.cli.lazy_commands import COMMANDS, commands_of
from workers.cli.main import app

LOADED = """
import atexit, sys
def say():
    names = {name.partition(".")[0] for name in sys.modules} - sys.stdlib_module_names - before
    own = {name for name in sys.modules if name.startswith(("workers.", "tasks.", "vectordb."))}
    print("LOADED", *sorted(names), "OWN", *sorted(own), file=sys.stderr)
before = {name.partition(".")[0] for name in sys.modules}
atexit.register(say)
from workers.cli.__main__ import main
sys.argv[0] = "wildtag"
main()
"""
# what Typer needs to print, and to convert a parameter or report a wrong one
PRINTS = {
    "annotated_doc", "annotated_types", "attr", "markdown_it", "mdurl", "pydantic", "pydantic_core", "pygments",
    "rich", "shellingham", "typer", "typing_extensions", "typing_inspection",
}  # fmt: skip
HEAVY = (
    "PIL", "celery", "fastapi", "flower", "httpx", "inflect", "kombu", "minio", "numpy", "onnxruntime", "pyarrow",
    "prometheus_client", "qdrant_client", "redis", "scipy", "skimage", "spacy", "torch", "transformers", "uvicorn",
    "workers.wiring.wiring",
)  # fmt: skip
OWN = {
    "workers.cli", "workers.cli.__main__", "workers.cli.lazy_commands", "workers.cli.main", "workers.cli.panels",
    "workers.cli.version", "workers.settings", "workers.settings.names", "workers.settings.secret_settings",
    "workers.settings.variables",
    "vectordb.errors",
}  # fmt: skip


def loaded(*arguments: str, **environment: str) -> tuple[set[str], set[str]]:
    """The packages that others wrote, and the modules of wildtag, which a command has imported."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("WILDTAG_")}
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *arguments], env=inherited | environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("LOADED ")]
    names, _, own = line.removeprefix("LOADED ").partition("OWN ")
    foreign = {name for name in names.split() if not name.startswith("_sysconfigdata")}  # Python's own
    return foreign - {"tasks", "vectordb", "workers"}, set(own.split())


@pytest.mark.parametrize(
    "arguments", [["--help"], [], ["--version"], ["tga"], ["--nonsense"], ["--show-completion", "bash"]], ids=str
)
def test_what_runs_no_command_imports_none(arguments: list[str]) -> None:
    names, own = loaded(*arguments)
    assert names <= PRINTS
    assert own <= OWN


def test_completing_the_name_of_a_command_imports_none() -> None:
    names, own = loaded(
        _WILDTAG_COMPLETE="complete_bash", COMP_WORDS="wildtag re", COMP_CWORD="1",
        _TYPER_COMPLETE_ARGS="wildtag re",
    )  # fmt: skip
    assert names <= PRINTS
    assert own <= OWN


def test_the_modules_of_commands_import_nothing_heavy() -> None:
    """So ``wildtag COMMAND --help`` is quick, and so are mistakes. What a command needs is imported when it runs."""
    code = (
        "import sys; from workers.cli.lazy_commands import COMMANDS, commands_of\n"
        "for module in sorted({command.module for command in COMMANDS}):\n"
        "    commands_of(module)\n"
        "    found = {*sys.argv[1:]} & set(sys.modules)\n"
        "    assert not found, (module, found)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *HEAVY], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_list_has_the_commands_of_all_modules_as_they_are() -> None:
    found: dict[str, Any] = {}
    for module in {command.module for command in COMMANDS}:
        found |= {name: (module, command) for name, command in commands_of(module).items()}
    assert set(found) == {command.name for command in COMMANDS}
    for command in COMMANDS:
        module, real = found[command.name]
        first = " ".join((real.help or "").split("\n\n")[0].split())
        assert (command.module, command.panel, command.summary) == (module, real.rich_help_panel, first), command.name


def test_a_command_is_its_own_when_it_is_taken_out() -> None:
    group: Any = typer.main.get_command(app)
    assert [option.name for option in group.commands["worker"].params] == ["queues", "concurrency"]
    assert "wildtag captions import" in CliRunner().invoke(app, ["captions", "import", "--help"]).output
