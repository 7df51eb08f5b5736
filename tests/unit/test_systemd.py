"""The units in `ops/systemd`: systemd knows their directives, and they run and stop what the supervisor expects.

Where systemd-analyze is installed, it reads the units too; the names below are those of systemd.unit(5),
systemd.service(5), systemd.exec(5), systemd.kill(5) and systemd.resource-control(5) of version 252, the oldest that
the units are for.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import typer.main

from tests.unit.manifests import ROOT
from workers.cli.main import app
from workers.settings.settings import Settings
from workers.settings.variables import variable
from workers.supervision.supervisor import LAST_RESORT, STOP_WITHIN

FOLDER = ROOT / "ops" / "systemd"
UNITS = {"system": FOLDER / "wildtag.service", "user": FOLDER / "user" / "wildtag.service"}

KNOWN = {
    "Unit": {"Description", "Documentation", "After", "Wants", "StartLimitIntervalSec", "StartLimitBurst"},
    "Service": {
        "Type", "ExecStart", "User", "Group", "Environment", "EnvironmentFile", "LoadCredential", "KillMode",
        "KillSignal", "TimeoutStopSec", "Restart", "RestartSec", "OOMPolicy", "StateDirectory", "StateDirectoryMode",
        "WorkingDirectory", "UMask", "LimitNOFILE", "ProtectSystem", "ProtectHome", "PrivateTmp", "PrivateDevices",
        "PrivateMounts", "ProtectClock", "ProtectControlGroups", "ProtectHostname", "ProtectKernelLogs",
        "ProtectKernelModules", "ProtectKernelTunables", "ProtectProc", "RemoveIPC", "NoNewPrivileges",
        "CapabilityBoundingSet", "AmbientCapabilities", "LockPersonality", "RestrictAddressFamilies",
        "RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID", "SystemCallArchitectures", "SystemCallFilter",
        "SystemCallErrorNumber", "ReadWritePaths", "CPUWeight",
    },
    "Install": {"WantedBy"},
}  # fmt: skip

NEXT = FOLDER / "wildtag-next@.service"

both = pytest.mark.parametrize("kind", sorted(UNITS))


def directives(text: str) -> list[tuple[str, str, str]]:
    """Section, name and value of each line."""
    section, found = "", []
    for line in text.splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and line[0] not in "#;":
            name, sign, value = line.partition("=")
            assert sign, line
            found.append((section, name, value))
    return found


def value(kind: str, name: str) -> str:
    (only,) = (given for _, known, given in directives(UNITS[kind].read_text()) if known == name)
    return only


@both
def test_systemd_knows_every_directive(kind: str) -> None:
    found = directives(UNITS[kind].read_text())
    assert not [(section, name) for section, name, _ in found if name not in KNOWN.get(section, ())]


def test_the_processes_that_prepare_an_encoder_are_confined_as_the_stack_is() -> None:
    ours, theirs = directives(NEXT.read_text()), directives(UNITS["system"].read_text())
    assert not [(section, name) for section, name, _ in ours if name not in KNOWN.get(section, ())]
    given = dict(name.split("=", 1) for _, key, name in ours if key == "Environment" for name in name.split())
    assert set(given) - {"REMAP_SIGTERM", "OPENBLAS_NUM_THREADS"} <= {
        variable(name) for name in Settings.model_fields
    }
    own = {"Description", "Documentation", "ExecStart", "Environment", "TimeoutStopSec", "Restart", "CPUWeight",
           "StartLimitIntervalSec", "StartLimitBurst"}  # fmt: skip
    assert [one for one in ours if one[1] not in own] == [one for one in theirs if one[1] not in own]
    (run,) = (line for _, key, line in ours if key == "ExecStart")
    group = typer.main.get_command(app).commands["encoder"]  # type: ignore[attr-defined]  # it is a group
    assert run.endswith("/wildtag encoder run %i")
    assert "run" in group.commands


@both
def test_it_runs_a_command_that_there_is(kind: str) -> None:
    program, *arguments = value(kind, "ExecStart").split()
    assert Path(program).name == "wildtag"
    command = typer.main.get_command(app)
    assert set(arguments) <= set(command.commands)  # type: ignore[attr-defined]  # it is a group


@both
def test_the_supervisor_has_the_time_that_it_takes_and_stops_its_processes_itself(kind: str) -> None:
    assert value(kind, "KillMode") == "mixed"
    assert value(kind, "KillSignal") == "SIGTERM"
    assert float(value(kind, "TimeoutStopSec")) >= 2 * (STOP_WITHIN + LAST_RESORT)
    assert value(kind, "OOMPolicy") == "continue", "the supervisor starts a killed process again"
    assert value(kind, "Restart") == "on-failure"


@both
def test_its_variables_are_settings(kind: str) -> None:
    settings = {variable(name) for name in Settings.model_fields}
    given = {
        name
        for text in re.findall(r"^Environment=(.*)$", UNITS[kind].read_text(), re.MULTILINE)
        for name in re.findall(r"(\w+)=", text)
    }
    assert given <= settings


def test_the_service_of_the_system_is_confined() -> None:
    for name, expected in {
        "ProtectSystem": "strict", "ProtectHome": "yes", "NoNewPrivileges": "yes", "CapabilityBoundingSet": "",
        "AmbientCapabilities": "", "PrivateTmp": "yes", "PrivateDevices": "yes", "RestrictSUIDSGID": "yes",
        "UMask": "0077", "StateDirectory": "wildtag", "StateDirectoryMode": "0700", "User": "wildtag",
    }.items():  # fmt: skip
        assert value("system", name) == expected
    assert value("system", "Environment") == "WILDTAG_HOME=%S/wildtag", "the folder that StateDirectory makes"


@both
def test_system_calls_are_allowed_that_decoders_confine_themselves_with(kind: str) -> None:
    allowed = value(kind, "SystemCallFilter").split()
    assert {"@system-service", "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"} <= set(
        allowed
    )


def test_the_guide_installs_what_there_is() -> None:
    guide = (ROOT / "docs" / "how-to" / "systemd.md").read_text()
    assert set(re.findall(r"ops/systemd/\S+\.service", guide)) == {
        str(unit.relative_to(ROOT)) for unit in (*UNITS.values(), NEXT)
    }


if ANALYZE := shutil.which("systemd-analyze"):  # the names are checked everywhere; systemd is asked where it is there

    def test_systemd_itself_reads_the_unit() -> None:
        done = subprocess.run(
            [str(ANALYZE), "verify", UNITS["system"]], capture_output=True, text=True, check=False, timeout=30
        )
        lines = [line for line in (done.stdout + done.stderr).splitlines() if "wildtag" in line]
        assert not [line for line in lines if "is not executable" not in line], lines
