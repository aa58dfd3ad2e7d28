#!/usr/bin/env python3
"""tools/report on small reports."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

REPORT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "report")


def report(figures, **fields):
    return {"schema": "tidewheel.report.v1", "command": "demo", "arguments": ["--data", "pictures"], "commit": "0123456789abcdef", "clean": True,
            "seed": 1, "machine": {"cpu": "a cpu", "cores": 2, "memory_bytes": 2**31, "os": "an os", "kernel": "a kernel"},
            "started_at": "2026-11-22T10:00:00Z", "seconds": 93.1, "figures": figures, **fields}


class ReportTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()

    def tearDown(self):
        self.folder.cleanup()

    def write(self, name, content):
        path = os.path.join(self.folder.name, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(content if isinstance(content, str) else json.dumps(content))
        return path

    def run_report(self, *arguments):
        return subprocess.run([sys.executable, REPORT, *arguments], capture_output=True, text=True, timeout=30)

    def test_prints_figures_with_units_and_goals(self):
        path = self.write("a.json", report([
            {"name": "demo.cnn.test.accuracy", "value": 0.9966, "unit": "ratio", "goal": ">= 0.99", "met": True, "how": "counted"},
            {"name": "demo.predict.p50", "value": 0.00123, "unit": "seconds", "how": "clock"},
            {"name": "demo.samples.pushed", "value": 70000, "unit": "count", "how": "counted"}]))
        done = self.run_report(path)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"demo\.cnn\.test\.accuracy +0\.9966 +>= 0\.99 met")
        self.assertIn("1.23 ms", done.stdout)
        self.assertIn("70 000", done.stdout)
        self.assertIn("commit 0123456789ab", done.stdout)

    def test_says_what_was_not_measured_and_why(self):
        path = self.write("a.json", report([{"name": "demo.trace.votes", "value": None, "unit": "count", "how": "not reached"}]))
        done = self.run_report(path)
        self.assertIn("demo.trace.votes: not measured: not reached", done.stdout)

    def test_shows_two_side_by_side(self):
        first = self.write("a.json", report([{"name": "x", "value": 100, "unit": "count", "how": ""}, {"name": "gone", "value": 1, "unit": "1", "how": ""}]))
        second = self.write("b.json", report([{"name": "x", "value": 150, "unit": "count", "how": ""}, {"name": "new", "value": 2, "unit": "1", "how": ""}]))
        done = self.run_report(first, second)
        self.assertRegex(done.stdout, r"x +100 +150 +\+50\.0 %")
        self.assertRegex(done.stdout, r"new +2")
        self.assertRegex(done.stdout, r"gone +1")

    def test_writes_tables_for_documents(self):
        path = self.write("a.json", report([{"name": "x", "value": 1, "unit": "ratio", "how": ""}]))
        done = self.run_report("--markdown", path)
        self.assertIn("| figure | value |", done.stdout)
        self.assertIn("| x | 1 |", done.stdout)

    def test_refuses_what_is_no_report(self):
        for content in ("", "{", "[]", "{\"schema\": \"other\", \"figures\": []}", "{\"schema\": \"tidewheel.report.v1\"}"):
            done = self.run_report(self.write("bad.json", content))
            self.assertEqual(done.returncode, 1)
            self.assertIn("bad.json", done.stderr)
            self.assertNotIn("Traceback", done.stderr)
        self.assertEqual(self.run_report(os.path.join(self.folder.name, "none.json")).returncode, 1)
        self.assertEqual(self.run_report().returncode, 2)


if __name__ == "__main__":
    unittest.main()
