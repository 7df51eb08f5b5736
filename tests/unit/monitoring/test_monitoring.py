"""Rules, alerts and dashboard: valid, tested, explained, and about metrics that exist."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops.monitoring import dashboard
from tests.prometheus import CASES, DASHBOARD, MONITORING, exposed, names, panels, program, queries, rules
from tests.unit.compose_file import FILE, ROOT, SERVICES
from workers.monitoring.catalogue import CATALOGUE

RUNBOOKS = ROOT / "docs" / "how-to" / "runbooks.md"
ALERTS = rules("alert")
PROMTOOL = program("promtool")


def test_the_programs_are_there_in_ci() -> None:
    assert os.environ.get("CI") != "true" or PROMTOOL, "apt-get install prometheus"


if PROMTOOL:  # on a laptop without it, what needs no Prometheus is tested

    def _promtool(*arguments: str | Path) -> str:
        done = subprocess.run([str(PROMTOOL), *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def test_promtool_accepts_the_configuration_and_the_rules(tmp_path: Path) -> None:
        given = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
        key = tmp_path / "key"
        key.touch()
        given["scrape_configs"][0]["authorization"]["credentials_file"] = str(key)
        given["rule_files"] = [str(MONITORING / name) for name in given["rule_files"]]
        (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(given))
        assert "2 rule files found" in _promtool("check", "config", tmp_path / "prometheus.yml")
        _promtool("check", "rules", "--lint=all", "--lint-fatal", *sorted((MONITORING / "rules").glob("*.yml")))

    @pytest.mark.parametrize("file", CASES, ids=lambda file: file.name)
    def test_every_alert_fires_when_it_should_and_only_then(file: Path) -> None:
        assert "SUCCESS" in _promtool("test", "rules", file)


def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    cases = [
        case for file in CASES for one in yaml.safe_load(file.read_text())["tests"] for case in one["alert_rule_test"]
    ]
    fires = [case["alertname"] for case in cases if case["exp_alerts"]]
    quiet = [case["alertname"] for case in cases if not case["exp_alerts"]]
    assert sorted(fires) == sorted(quiet) == sorted(ALERTS)


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_what_is_wrong_and_where_to_read_on(name: str) -> None:
    alert = ALERTS[name]
    assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
    assert alert["labels"]["severity"] in {"critical", "warning"}
    page, _, anchor = alert["annotations"]["runbook_url"].partition("#")
    assert ROOT / page == RUNBOOKS
    assert anchor == name.lower()
    section = RUNBOOKS.read_text().partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    assert section.strip().startswith(f"**{alert['labels']['severity'].capitalize()}.**"), f"no runbook of {name}"
    assert "```console" in section, "which commands to run"
    # an evaluation comes every 15 s, and what restarts is away for some minutes
    least = 0 if name in {"WildtagRedisEvictions", "WildtagDeadLetters"} else 2
    assert int(alert["for"].removesuffix("m")) >= least


def test_every_runbook_is_that_of_an_alert() -> None:
    assert re.findall(r"^## (.+)$", RUNBOOKS.read_text(), re.MULTILINE) == list(ALERTS)
    named = set(re.findall(r"`(Wildtag\w+)`", (RUNBOOKS.parent / "monitoring.md").read_text()))
    assert named == set(ALERTS)


def test_queries_read_metrics_that_exist() -> None:
    recorded = set(rules("record"))
    for where, expr in queries():
        assert names(expr) <= set(exposed()), where
        assert set(re.findall(r"wildtag:[\w:]+", expr)) <= recorded, where
        labels = set().union(*(metric.labels for metric in CATALOGUE), {"instance", "pod", "le", "stage", "state"})
        for group in re.findall(r"(?:by|without|on|group_left) \(([^)]*)\)", expr):
            assert {label.strip() for label in group.split(",")} - {""} <= labels, where


def aggregated(expr: str) -> list[tuple[str, list[str]]]:
    """The metrics in a query, each with the aggregations around it, outermost first."""
    plain = re.sub(r"\b(?:by|without|on|ignoring|group_left|group_right) *\([^)]*\)|\{[^}]*\}", " ", expr)
    found: list[tuple[str, list[str]]] = []
    around: list[str] = []
    word = ""
    for token in re.findall(r"[a-z_]+|[()]|[^\sa-z_()]+", plain):
        if token == "(":  # noqa: S105 -- a parenthesis
            around.append(word)
        elif token == ")":  # noqa: S105 -- as above
            around.pop()
        elif token.startswith("wildtag_"):
            found.append((token, [one for one in around if one in {"sum", "count", "avg", "topk", "max", "min"}]))
        word = token
    return found


def test_numbers_of_the_whole_system_are_taken_once_from_several_gateways() -> None:
    """``sum`` of what each gateway reports would be a multiple of it."""
    system = {metric.exposed for metric in CATALOGUE if metric.source != "process"}
    system |= {
        f"{metric.name}_{one}"
        for metric in CATALOGUE
        if metric.source == "redis"
        for one in ("bucket", "sum", "count")
    }
    for where, expr in queries():
        for name, around in aggregated(expr):
            if name in system:
                assert around[-1:] in ([], ["max"], ["min"]), (where, name, around)


@pytest.mark.parametrize(
    ("expr", "around"), [
        ("sum(rate(wildtag_x[5m]))", ["sum"]),
        ("sum by (le) (max without (pod) (rate(wildtag_x[5m])))", ["sum", "max"]),
        ("wildtag_x / on (a) sum(1)", []),
        ("max(wildtag_x) by (a)", ["max"]),
        ("count(wildtag_x) or vector(0)", ["count"]),
    ],
)  # fmt: skip
def test_what_a_metric_is_aggregated_by_is_read_from_a_query(expr: str, around: list[str]) -> None:
    assert aggregated(expr) == [("wildtag_x", around)]


def test_the_dashboard_is_the_one_that_is_described() -> None:
    assert dashboard.FILE.read_text() == dashboard.text(), "run python -m ops.monitoring.dashboard"


def test_the_dashboard_answers_in_the_order_in_which_one_asks() -> None:
    rows = [panel["title"] for panel in DASHBOARD["panels"] if panel["type"] == "row"]
    assert rows == [title for title, _ in dashboard.ROWS]
    described = (RUNBOOKS.parent / "monitoring.md").read_text()
    assert re.findall(r"^\| ([^|]+\?) \|", described, re.MULTILINE) == rows


def test_every_panel_is_explained_and_has_a_unit() -> None:
    identities = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(identities)) == len(identities)
    for panel in panels():
        assert len(panel["description"]) > 10
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["type"] in {"timeseries", "stat", "table", "bargauge"}, "others are plugins, or old"
        for one in (panel, *panel["targets"]):
            assert one["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert [one["name"] for one in DASHBOARD["templating"]["list"]] == ["datasource"]


def test_no_panel_covers_another() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place: dict[str, Any] = panel["gridPos"]
        wide, high = range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
        cells = {(x, y) for x in wide for y in high}
        assert max(x for x, _ in cells) < dashboard.COLUMNS
        assert not cells & taken, panel["title"]
        taken |= cells


def test_compose_scrapes_every_process_of_wildtag() -> None:
    given = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
    jobs = {job["job_name"]: job for job in given["scrape_configs"]}
    (dns,) = jobs["wildtag"]["dns_sd_configs"]
    lasting = {
        name for name, one in SERVICES.items() if one["image"].startswith("wildtag:") and one.get("healthcheck")
    }
    assert set(dns["names"]) == lasting - {"gateway", "flower"}
    port = SERVICES["gateway"]["environment"]["WILDTAG_GATEWAY_PORT"]
    assert jobs["wildtag-gateway"]["static_configs"] == [{"targets": [f"gateway:{port}"]}]


def test_grafana_finds_its_source_and_its_dashboard() -> None:
    provisioning = MONITORING / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "wildtag.yml").read_text())["datasources"]
    interval = yaml.safe_load((MONITORING / "prometheus.yml").read_text())["global"]["scrape_interval"]
    assert source["jsonData"]["timeInterval"] == interval
    assert source["url"] == "http://prometheus:9090"
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "wildtag.yml").read_text())["providers"]
    mounted = {volume["target"]: volume["source"] for volume in SERVICES["grafana"]["volumes"]}
    assert ROOT / mounted[provider["options"]["path"]] == dashboard.FILE.parent
    assert ROOT / mounted[SERVICES["grafana"]["environment"]["GF_PATHS_PROVISIONING"]] == provisioning


def test_monitoring_runs_only_where_it_is_asked_for_and_never_without_its_secrets() -> None:
    for name, secret in ("prometheus", "PROMETHEUS_KEY"), ("grafana", "GRAFANA_ADMIN_PASSWORD"):
        service = SERVICES[name]
        assert service["profiles"] == ["observe"]
        assert f"set {secret} in .env" in service["entrypoint"][2]
    assert {"prometheus", "grafana"} <= set(FILE["volumes"])
    assert "--storage.tsdb.retention.time" in SERVICES["prometheus"]["entrypoint"][2]


@pytest.mark.parametrize(
    ("name", "secret"), [("prometheus", "PROMETHEUS_KEY"), ("grafana", "GF_SECURITY_ADMIN_PASSWORD")]
)
def test_without_its_secret_it_does_not_start(name: str, secret: str) -> None:
    shell, options, script = SERVICES[name]["entrypoint"]
    for value in ("", "short") if name == "grafana" else ("",):
        done = subprocess.run(
            [shell, options, script.replace("$$", "$")], env={"PATH": os.environ["PATH"], secret: value},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 1
        assert "in .env" in done.stderr
