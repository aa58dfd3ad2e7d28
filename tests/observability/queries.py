"""The queries that deploy/ holds: of dashboards and of rules, and which metrics they name."""

import json
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PROMETHEUS = ROOT / "deploy/prometheus"
DASHBOARDS = ROOT / "deploy/grafana/dashboards"


def dashboards():
    """(file name, document) of each."""
    for path in sorted(DASHBOARDS.glob("*.json")):
        yield path.name, json.loads(path.read_text(encoding="utf-8"))


def panels(dashboard):
    for panel in dashboard["panels"]:
        yield panel
        yield from panel.get("panels", [])


def panel_queries():
    """(where, expression as Grafana would send it)."""
    for name, dashboard in dashboards():
        for panel in panels(dashboard):
            for target in panel.get("targets", []):
                yield f"{name}: {panel['title']} {target['refId']}", filled_in(target["expr"], dashboard)


def filled_in(expression, dashboard):
    """With every variable at All."""
    expression = expression.replace("$__rate_interval", "5m")
    for variable in dashboard["templating"]["list"]:
        expression = expression.replace("$" + variable["name"], variable["allValue"])
    return expression


def variable_queries():
    """(where, metric, label) of each variable."""
    for name, dashboard in dashboards():
        for variable in dashboard["templating"]["list"]:
            metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["definition"]).groups()
            yield f"{name}: ${variable['name']}", metric, label


def metrics_of(expression):
    """The names of metrics, and of recorded series, in an expression; not what Prometheus makes itself (up, ALERTS)."""
    bare = re.sub(r'"[^"]*"', "", expression)
    bare = re.sub(r"\{[^}]*\}", "", bare)
    words = re.findall(r"[a-zA-Z_:][a-zA-Z0-9_:]*", bare)
    return {word for word in words if ":" in word or word.startswith(("tidewheel_", "process_"))}
