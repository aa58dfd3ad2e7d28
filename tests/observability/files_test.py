#!/usr/bin/env python3
"""deploy/prometheus and deploy/grafana without anything running: promtool's checks, and dashboards that Grafana can load.

Ends with 77 when promtool is not installed: ctest then says "skipped"."""

import re
import shutil
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
import queries  # noqa: E402


class RulesTest(unittest.TestCase):
    def promtool(self, *arguments):
        done = subprocess.run(["promtool", *arguments], cwd=queries.PROMETHEUS, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_promtool_accepts_the_configuration_with_its_rules(self):
        self.assertIn("rule files found", self.promtool("check", "config", "prometheus.yml"))
        for path in sorted((queries.PROMETHEUS / "rules").glob("*.yml")):
            self.promtool("check", "rules", str(path))

    def test_alerts_fire_when_they_should_and_only_then(self):
        self.promtool("test", "rules", "rules_test.yml")

    def test_every_alert_is_seen_firing_in_a_unit_test(self):
        alerts = re.findall(r"alert: (\w+)", (queries.PROMETHEUS / "rules/alerting.yml").read_text(encoding="utf-8"))
        tested = (queries.PROMETHEUS / "rules_test.yml").read_text(encoding="utf-8")

        self.assertGreater(len(alerts), 5)
        for alert in alerts:
            self.assertRegex(tested, rf'alertname: {alert}\n\s+exp_alerts:\n|alertname="{alert}"', alert)


class DashboardsTest(unittest.TestCase):
    def setUp(self):
        self.dashboards = list(queries.dashboards())

    def test_there_are_four(self):
        self.assertEqual(sorted(dashboard["title"] for _, dashboard in self.dashboards),
                         ["Tidewheel cycle", "Tidewheel data", "Tidewheel model", "Tidewheel overview"])

    def test_panels_have_ids_of_their_own_a_title_and_words_for_people(self):
        for name, dashboard in self.dashboards:
            every = list(queries.panels(dashboard))
            self.assertEqual(len({panel["id"] for panel in every}), len(every), name)
            for panel in every:
                self.assertTrue(panel["title"], name)
                if panel["type"] != "row":
                    self.assertTrue(panel["description"], f"{name}: {panel['title']}")
                    self.assertTrue(panel["targets"], f"{name}: {panel['title']}")

    def test_panels_lie_beside_each_other(self):
        for name, dashboard in self.dashboards:
            taken = {}
            for panel in dashboard["panels"]:
                place = panel["gridPos"]
                self.assertLessEqual(place["x"] + place["w"], 24, f"{name}: {panel['title']}")
                for x in range(place["x"], place["x"] + place["w"]):
                    for y in range(place["y"], place["y"] + place["h"]):
                        self.assertNotIn((x, y), taken, f"{name}: {panel['title']} lies over {taken.get((x, y))}")
                        taken[x, y] = panel["title"]

    def test_panels_ask_the_data_source_that_is_provisioned(self):
        provisioned = (queries.ROOT / "deploy/grafana/provisioning/datasources/prometheus.yml").read_text(encoding="utf-8")
        uids = re.findall(r"^\s+uid: (\S+)", provisioned, re.MULTILINE)
        for name, dashboard in self.dashboards:
            for panel in queries.panels(dashboard):
                for target in panel.get("targets", []):
                    self.assertIn(target["datasource"]["uid"], uids, f"{name}: {panel['title']}")

    def test_variables_are_those_of_the_dashboard(self):
        for where, expression in queries.panel_queries():
            self.assertNotIn("$", expression, where)


if __name__ == "__main__":
    if shutil.which("promtool") is None:
        print("skipped: no promtool; ./tidewheel setup --test installs Debian's prometheus")
        sys.exit(77)
    unittest.main()
