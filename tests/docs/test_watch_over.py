"""What an operator is given to watch with, and told of it: dashboard, alerts and page name metrics that there are."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.docs.support import Server

from tickwire.metrics import Metric
from tickwire.service.metrics import METRICS

ROOT = Path(__file__).parents[2]
DASHBOARD = json.loads((ROOT / "ops" / "grafana-dashboard.json").read_text())
ALERTS = yaml.safe_load((ROOT / "ops" / "alerts.yml").read_text())
PAGE = (ROOT / "docs" / "how-to" / "watch-over-a-server.md").read_text()
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]

# What Prometheus adds to each series itself.
ADDED = {"instance", "job", "le"}
SAMPLES = {
    name: metric
    for metric in METRICS
    for name in (
        (f"{metric.name}_bucket", f"{metric.name}_sum", f"{metric.name}_count")
        if metric.type == "histogram"
        else (metric.name,)
    )
}


def expressions() -> list[str]:
    """Of the dashboard and the alerts; `up` is Prometheus's own."""
    found = [target["expr"] for panel in PANELS for target in panel["targets"]]
    return found + [rule["expr"] for rule in RULES if not rule["expr"].startswith("up{")]


def metrics_in(text: str) -> dict[str, Metric | None]:
    return {name: SAMPLES.get(name) for name in re.findall(r"\b(?:tickwire|process)_\w+", text)}


@pytest.mark.parametrize("expression", expressions())
def test_expressions_name_metrics_and_labels_that_there_are(expression: str) -> None:
    found = metrics_in(expression)
    assert found
    assert None not in found.values(), found
    labels = {label for metric in found.values() if metric is not None for label in metric.labels} | ADDED
    selected = re.findall(r"[{,]\s*(\w+)\s*(?:=~|!~|!=|=)", expression)
    grouped = [name for names in re.findall(r"\bby \(([^)]*)\)", expression) for name in re.split(r",\s*", names)]
    assert set(selected) | set(grouped) <= labels
    for metric in found.values():
        if metric is not None and metric.type == "counter":
            assert re.search(rf"(rate|increase)\({metric.name}|{metric.name} > 0", expression), "a counter only grows"


def test_the_dashboard_shows_every_metric() -> None:
    shown = {metric.name for name, metric in metrics_in(json.dumps(DASHBOARD)).items() if metric is not None}
    assert shown == {metric.name for metric in METRICS}


def test_panels_do_not_overlap_and_say_what_they_show() -> None:
    cells: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        mine = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & mine, panel["title"]
        cells |= mine
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    assert all(panel["description"] for panel in PANELS)


def test_legends_are_of_labels_that_the_expression_keeps() -> None:
    for panel in PANELS:
        for target in panel["targets"]:
            kept = {
                name.strip() for names in re.findall(r"\bby \(([^)]*)\)", target["expr"]) for name in names.split(",")
            }
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= kept


def test_the_page_says_what_to_do_at_every_alert() -> None:
    assert {rule["alert"] for rule in RULES} == set(re.findall(r"^\| `(Tickwire\w+)` \|", PAGE, re.MULTILINE))
    for rule in RULES:
        assert rule["labels"]["severity"] in ("page", "warning")
        kept = re.findall(r"\bby \(([^)]*)\)", rule["expr"]) or ["instance"]
        used = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
        assert used <= {name.strip() for name in ",".join(kept).split(",")}


def yaml_blocks() -> list[Any]:
    return [yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)]


def test_the_configurations_scrape_the_right_path() -> None:
    jobs = [job for block in yaml_blocks() for job in block.get("scrape_configs", [])]
    assert len(jobs) == 2
    for job in jobs:
        assert (job["job_name"], job["metrics_path"]) == ("tickwire", "/_tickwire/metrics")
    assert [block["rule_files"] for block in yaml_blocks() if "rule_files" in block] == [["alerts.yml"]]


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_the_page_shows_how_to_look(server: Server) -> None:
    (command, *_) = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    script = command.replace("http://127.0.0.1:8080", server.url)
    result = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("# HELP tickwire_stream_connections ")
