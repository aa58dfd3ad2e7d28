#!/usr/bin/env python3
"""tools/bench with programs that only pretend to measure."""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

BENCH = pathlib.Path(__file__).resolve().parent.parent / "bench"
# Answers as Google Benchmark does; the n-th run is n times as slow, floor and all.
PROGRAM = """#!{python}
import json, pathlib, sys
if {status}:
    print("it broke", file=sys.stderr)
    sys.exit({status})
count = pathlib.Path(__file__ + ".runs")
run = int(count.read_text()) + 1 if count.exists() else 1
count.write_text(str(run))
out = next(word.split("=", 1)[1] for word in sys.argv if word.startswith("--benchmark_out="))
measured = {measured}
pathlib.Path(out).write_text(json.dumps({{"benchmarks": [
    {{"name": name, "run_type": "iteration", "real_time": time * run, "cpu_time": time * run, "time_unit": "us"}} for name, time in measured.items()]}}))
"""
BLOB = {"put/1/iterations:300/real_time": 300, "append/1/iterations:300/real_time": 200, "put/64/iterations:300/real_time": 800,
        "append/64/iterations:300/real_time": 400}
VISION = {"jpeg/decode": 10, "jpeg/all": 40, "pgm/decode": 1, "pgm/all": 8, "png/prepare": 2}


class BenchTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.programs = pathlib.Path(self.folder.name)

    def program(self, area, measured, status=0):
        path = self.programs / f"{area}_bench"
        path.write_text(PROGRAM.format(python=sys.executable, measured=measured, status=status))
        path.chmod(0o755)

    def bench(self, *arguments):
        path = self.programs / "report.json"
        done = subprocess.run([BENCH, "--programs", self.programs, "--report", path, *arguments], capture_output=True, text=True, check=False)
        report = json.loads(path.read_text()) if path.exists() else None
        return done, report, {one["name"]: one for one in report["figures"]} if report else {}

    def test_a_ratio_is_taken_within_a_repetition_and_carries_its_range(self):
        self.program("blob", BLOB)
        done, report, figures = self.bench("blob")

        self.assertEqual(done.returncode, 0, done.stderr)
        ratio = figures["blob.put.1.ratio_to_floor"]
        self.assertEqual((ratio["value"], ratio["min"], ratio["max"], ratio["repeats"], ratio["unit"]), (1.5, 1.5, 1.5, 5, "ratio"))
        absolute = figures["blob.put.64.seconds"]
        self.assertAlmostEqual(absolute["value"], 2.4e-3)
        self.assertAlmostEqual(absolute["min"], 0.8e-3)
        self.assertAlmostEqual(absolute["max"], 4.0e-3)
        self.assertIn("blob.put.1.ratio_to_floor", done.stdout)

    def test_the_report_has_what_every_report_has(self):
        self.program("blob", BLOB)
        _, report, _ = self.bench("blob", "--repeats", "6")

        self.assertEqual(set(report), {"schema", "command", "arguments", "commit", "clean", "seed", "machine", "started_at", "seconds", "figures"})
        self.assertEqual((report["schema"], report["command"]), ("tidewheel.report.v1", "bench"))
        self.assertEqual(set(report["machine"]), {"cpu", "cores", "memory_bytes", "os", "kernel"})
        for one in report["figures"]:
            self.assertEqual({"name", "value", "unit", "how", "min", "max", "repeats"} - set(one), set())

    def test_a_missed_goal_is_named_and_ends_with_3(self):
        self.program("vision", VISION | {"png/prepare": 9})
        done, _, figures = self.bench("vision")

        self.assertEqual(done.returncode, 3)
        self.assertEqual((figures["vision.png.prepare.seconds"]["goal"], figures["vision.png.prepare.seconds"]["met"]), ("<= 8e-06", False))
        self.assertIn("missed: vision.png.prepare.seconds", done.stderr)

    def test_a_goal_that_is_met_ends_with_0(self):
        self.program("vision", VISION)
        done, _, figures = self.bench("vision")

        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(figures["vision.png.prepare.seconds"]["met"])

    def test_what_could_not_be_measured_says_why_and_ends_with_1(self):
        self.program("vision", VISION, status=7)
        self.program("blob", {name: time for name, time in BLOB.items() if not name.startswith("append/64")})
        done, _, figures = self.bench("vision", "blob", "labels")

        self.assertEqual(done.returncode, 1)
        self.assertIsNone(figures["vision.jpeg.all.seconds"]["value"])
        self.assertIn("ended with 7: it broke", figures["vision.jpeg.all.seconds"]["how"])
        self.assertIn("was not built", figures["labels.gather.vote.seconds"]["how"])
        self.assertIn("measured no append/64", figures["blob.put.64.ratio_to_floor"]["how"])
        self.assertIsNotNone(figures["blob.put.1.ratio_to_floor"]["value"])

    def test_fewer_than_five_repetitions_and_unknown_areas_are_wrong_usage(self):
        for arguments in (("--repeats", "4"), ("everything",), ("blob", "--update-docs")):
            done, report, _ = self.bench(*arguments)
            self.assertEqual((done.returncode, report), (2, None), arguments)


if __name__ == "__main__":
    unittest.main()
