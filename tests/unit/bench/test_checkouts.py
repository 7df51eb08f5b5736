"""What benchmarks compare: checkouts, their environment, and the processes of a stack."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ops.bench import checkouts
from ops.bench.checkouts import ROOT, Checkout
from ops.bench.options import parser_of
from ops.bench.processes import SUPERVISOR, cpu_seconds, end, memory_of, services_of
from ops.bench.start import megabytes
from vectordb.errors import Permanent


def test_settings_of_the_person_who_measures_reach_no_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WILDTAG_HOME", "/elsewhere")
    monkeypatch.setenv("WILDTAG_REDIS_URL", "redis://elsewhere")
    monkeypatch.setenv("WILDTAG_THREADS", "1")
    found = Checkout.this().environment({"WILDTAG_HOME": "/here"})
    ours = {name: value for name, value in found.items() if name.startswith("WILDTAG_")}
    assert ours == {"WILDTAG_HOME": "/here", "WILDTAG_THREADS": "1"}
    assert found["PYTHONPATH"] == str(ROOT)


def test_another_checkout_has_its_own_code_and_interpreter(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "workers" / "cli").mkdir(parents=True)
    mine = tmp_path / "mine"
    (mine / "captions").mkdir(parents=True)
    parser = parser_of("none", None, "")
    checkouts.add_options(parser)
    chosen = parser.parse_args(["--against", str(tmp_path), "--against-python", "/venv/python", "--home", str(mine)])
    (this, home), (other, copied) = checkouts.compared(chosen)
    said = capsys.readouterr().err
    assert said.startswith("against: no captions to copy")
    assert "this:" not in said
    assert (this.name, this.python, home) == ("this", sys.executable, mine)
    assert (other.name, other.path, other.python, copied) == ("against", tmp_path, "/venv/python", None)
    assert other.wildtag("up")[0] == "/venv/python"
    assert set(checkouts.described([this, other])) == {"this", "against"}


def test_a_folder_that_is_no_checkout_is_refused(tmp_path: Path) -> None:
    parser = parser_of("none", None, "")
    checkouts.add_options(parser)
    with pytest.raises(Permanent, match="not a checkout"):
        checkouts.compared(parser.parse_args(["--against", str(tmp_path)]))


@pytest.mark.parametrize("option", ["--home", "--against-home"])
def test_a_named_home_without_captions_is_refused(tmp_path: Path, option: str) -> None:
    """Its stack would encode them for minutes without a word."""
    parser = parser_of("none", None, "")
    checkouts.add_options(parser)
    with pytest.raises(Permanent, match=f"{option}: .* has no captions"):
        checkouts.compared(parser.parse_args([option, str(tmp_path)]))


def test_a_command_that_fails_is_no_measurement(tmp_path: Path) -> None:
    with pytest.raises(Permanent, match="no-such-command"):
        Checkout.this().run("no-such-command", settings={"WILDTAG_HOME": str(tmp_path)})


def test_cpu_and_memory_are_counted_by_service_with_all_descendants() -> None:
    nested = f"import subprocess; subprocess.run([{sys.executable!r}, '-c', {_BUSY!r}])"
    with subprocess.Popen([sys.executable, "-c", nested], stdout=subprocess.PIPE) as service:
        assert service.stdout is not None
        assert service.stdout.readline() == b"ready\n"
        services = services_of(os.getpid(), {"worker-embedding": service.pid})
        used, memory = cpu_seconds(services), memory_of(services)
        service.stdout.close()
        subprocess.run(
            ["kill", *(str(process.pid) for process in reversed(services["worker-embedding"]))], check=True
        )
    assert len(services["worker-embedding"]) == 2
    assert not {process.pid for process in services["worker-embedding"]} & {p.pid for p in services[SUPERVISOR]}
    assert used["worker-embedding"] >= 0.2
    assert 0 < memory["worker-embedding"].own <= memory["worker-embedding"].pss


_BUSY = """
import time
while time.process_time() < 0.2: pass
print("ready", flush=True)
time.sleep(60)
"""


def test_a_file_with_two_names_takes_its_disk_once(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(bytes(1_000_000))
    once = megabytes(tmp_path)
    os.link(tmp_path / "one", tmp_path / "two")
    (tmp_path / "three").symlink_to(tmp_path / "one")
    assert megabytes(tmp_path) == once >= 1


def test_a_process_that_does_not_end_is_killed_and_costs_no_figures(capsys: pytest.CaptureFixture[str]) -> None:
    process = subprocess.Popen(["sleep", "60"])
    end(process, 0.05)
    assert process.returncode == -9
    assert "is killed" in capsys.readouterr().err
