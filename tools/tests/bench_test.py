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


class BenchCase(unittest.TestCase):
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
        done = subprocess.run([BENCH, "--programs", self.programs, "--bench", self.programs / "bench", "--peers-python", sys.executable,
                               "--report", path, *arguments], capture_output=True, text=True, check=False)
        report = json.loads(path.read_text()) if path.exists() else None
        return done, report, {one["name"]: one for one in report["figures"]} if report else {}


class BenchTest(BenchCase):
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


# Predictions: one run with all repetitions in it, here two; nothing of other servers.
PREDICT = """#!{python}
import json, pathlib, sys
words = dict(word[2:].split("=", 1) for word in sys.argv[1:])
runs = []
for n in (1, 2):
    for cell in ("cnn_28.f32/1", "cnn_28.f32/8", "cnn_28.f32/64", "identity.f32/64"):
        runs.append({{"name": "null/" + cell, "per_second": 3000.0 * n, "p50": 1e-4, "p99": 2e-4, "server_cpu": 1e-5}})
        runs.append({{"name": "ours/" + cell, "per_second": 1000.0 * n, "p50": 3e-4, "p99": 3e-4, "server_cpu": 2e-5}})
        runs.append({{"name": "alone/" + cell, "rows_per_second": 6000.0 * n}})
runs.append({{"name": "peer/openvino/1", "error_occurred": True, "error_message": "it fell over"}})
pathlib.Path(words["out"]).write_text(json.dumps({{"benchmarks": runs, "words": sys.argv[1:]}}))
pathlib.Path(__file__ + ".words").write_text(" ".join(sys.argv[1:]))
"""


class PredictTest(BenchCase):
    def test_rates_are_held_against_the_null_handler_and_the_model_of_their_round(self):
        path = self.programs / "predict_bench"
        path.write_text(PREDICT.format(python=sys.executable))
        path.chmod(0o755)
        done, _, figures = self.bench("predict", "--quick")

        self.assertEqual(done.returncode, 1)  # The rest was not measured.
        words = (self.programs / "predict_bench.words").read_text()
        self.assertIn("--rounds=5 --burst=60", words)
        bound = figures["predict.cnn_28.f32.8.ratio_to_bound"]
        self.assertAlmostEqual(bound["value"], 0.5)  # 1 / (1/3 + 1/6) = 2
        self.assertEqual((bound["goal"], bound["met"], bound["repeats"]), (">= 0.70", False, 2))
        self.assertAlmostEqual(figures["predict.identity.f32.64.ratio_to_null"]["value"], 1 / 3)
        latency = figures["predict.cnn_28.f32.1.p50_over_bound"]["value"]
        self.assertAlmostEqual(latency, (3e-4 / (1e-4 + 1 / 6000) + 3e-4 / (1e-4 + 1 / 12000)) / 2)
        self.assertIn("it fell over", figures["predict.peer.openvino.1.rate"]["how"])
        self.assertIn("measured no peer/", figures["predict.peer.triton.8.rate"]["how"])


# Answers as Google Benchmark does with --benchmark_repetitions: the n-th is n times as slow.
REPEATED = """#!{python}
import json, pathlib, sys
words = dict(word[2:].split("=", 1) for word in sys.argv[1:])
runs = [{{"name": name, "run_type": "iteration", "repetition_index": i, "real_time": time * (i + 1), "cpu_time": time * (i + 1), "time_unit": "ms",
          "iterations": 1, "updates": 8.0 / (i + 1)}} for name, time in {measured}.items() for i in range(int(words["benchmark_repetitions"]))]
runs.append({{"name": "x/read_mean", "run_type": "aggregate", "real_time": 0, "cpu_time": 0, "time_unit": "ms"}})
runs.append({{"name": "x/broken", "run_type": "iteration", "error_occurred": True, "error_message": "no memory"}})
pathlib.Path(words["benchmark_out"]).write_text(json.dumps({{"benchmarks": runs}}))
"""
# Two sides in one process, by the real measure.py.
PEERS = """
import sys, time
sys.path.insert(0, {folder!r})
import measure


def spend(seconds):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def hold(inputs):
    held = bytearray(64 * 1024 * 1024)
    held[::4096] = b"x" * len(held[::4096])


def fail(inputs):
    raise ValueError("no such shape")


measure.main([
    measure.Case("a", lambda: bytearray(b"x" * 32 * 1024 * 1024), {{"ours": hold, "theirs": lambda inputs: None}}, memory=("ours", "theirs")),
    measure.Case("b", lambda: None, {{"ours": lambda inputs: spend(0.002), "theirs": measure.Side(lambda inputs: spend(0.2), repeats=2), "broken": fail}}),
])
"""


class TablesTest(BenchCase):
    def table(self, *figures, **more):
        folder = self.programs / "bench/figures"
        folder.mkdir(parents=True, exist_ok=True)
        defaults = {"unit": "ratio", "how": "as tested"}
        (folder / "x.json").write_text(json.dumps({"figures": [defaults | one for one in figures]} | more))

    def repeated(self, measured):
        path = self.programs / "x_bench"
        path.write_text(REPEATED.format(python=sys.executable, measured=measured))
        path.chmod(0o755)

    def test_a_table_makes_ratios_times_and_rates_of_a_programs_measurements(self):
        self.repeated({"x/work/iterations:1": 6, "x/read/real_time": 3})
        self.table({"name": "x.reads", "above": "x_bench|x/work|real", "below": "x_bench|x/read|real", "goal": "<= 2"},
                   {"name": "x.seconds", "unit": "seconds", "above": "x_bench|x/work|cpu"},
                   {"name": "x.rate", "unit": "per_second", "below": "x_bench|x/work|real", "factor": 1000},
                   {"name": "x.counted", "unit": "count", "above": "x_bench|x/work|updates", "goal": ">= 5"})
        done, report, figures = self.bench("stats")

        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertEqual((figures["x.reads"]["value"], figures["x.reads"]["repeats"], figures["x.reads"]["met"]), (2.0, 5, True))
        self.assertAlmostEqual(figures["x.seconds"]["value"], 18e-3)
        self.assertAlmostEqual(figures["x.rate"]["max"], 1000 / 6e-3)
        self.assertFalse(figures["x.counted"]["met"])
        self.assertIn("MISSED", done.stdout)
        self.assertEqual(report["arguments"][-1], "stats")

    def test_one_table_is_an_area_and_names_what_must_be_built(self):
        self.table({"name": "x.reads", "above": "x_bench|a|real"}, {"name": "x.speedup", "above": "peers/x|a/theirs|seconds", "below": "peers/x|a/ours|seconds"})
        done, report, _ = self.bench("x", "--targets")
        self.assertEqual((done.stdout.split(), report), (["x_bench", "peers_all"], None))

        done, _, _ = self.bench("vision", "--targets")
        self.assertEqual(done.stdout.split(), ["vision_bench"])

    def test_what_a_table_cannot_have_says_why(self):
        self.repeated({"x/work": 6})
        self.table(*({"name": f"x.{name}", "above": source} for name, source in (
            ("program", "y_bench|x/work|real"), ("measurement", "x_bench|x/rest|real"), ("value", "x_bench|x/work|votes"),
            ("broken", "x_bench|x/broken|real"), ("peers", "peers/y|x|seconds"))))
        done, _, figures = self.bench("stats")

        self.assertEqual(done.returncode, 1)
        for name, words in (("program", "y_bench was not built"), ("measurement", "x_bench measured no x/rest"), ("value", "has no votes, only cpu, real, updates"),
                            ("broken", "no memory"), ("peers", "no bench/peers/y.py")):
            self.assertIsNone(figures[f"x.{name}"]["value"])
            self.assertIn(words, figures[f"x.{name}"]["how"])

    def test_a_wrong_table_is_named(self):
        for figure, words in (({"name": "x.a", "above": "x_bench|x/work"}, "PROGRAM|MEASUREMENT|VALUE"), ({"name": "x.a"}, "above or below"),
                              ({"name": "X.a", "above": "x_bench|a|real"}, "lower case"), ({"name": "x.a", "above": "x_bench|a|real", "goal": "45"}, "a goal is"),
                              ({"name": "x.a", "above": "x_bench|a|real", "below": "y_bench|a|real"}, "one program"),
                              ({"name": "x.a", "unit": "ms", "above": "x_bench|a|real"}, "no unit ms")):
            self.table(figure)
            done, report, _ = self.bench("stats")
            self.assertEqual((done.returncode, report), (2, None), figure)
            self.assertIn(words, done.stderr)
            self.assertIn("bench/figures/x.json", done.stderr)

    def test_peers_are_timed_beside_ours_and_their_memory_apart(self):
        folder = self.programs / "bench/peers"
        folder.mkdir(parents=True)
        (folder / "x.py").write_text(PEERS.format(folder=str(BENCH.parent.parent / "bench/peers")))
        self.table({"name": "x.speedup", "above": "peers/x|b/theirs|seconds", "below": "peers/x|b/ours|seconds"},
                   {"name": "x.ours.memory", "unit": "bytes", "above": "peers/x|a/ours/memory|bytes"},
                   {"name": "x.theirs.memory", "unit": "bytes", "above": "peers/x|a/theirs/memory|bytes"},
                   {"name": "x.inputs", "unit": "bytes", "above": "peers/x|a/inputs|bytes"},
                   {"name": "x.broken", "unit": "seconds", "above": "peers/x|b/broken|seconds"})
        done, _, figures = self.bench("stats")

        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertGreater(figures["x.speedup"]["value"], 10)
        self.assertEqual(figures["x.speedup"]["repeats"], 2)
        self.assertIn("2 over 5 repeats", figures["x.speedup"]["how"])
        self.assertGreater(figures["x.ours.memory"]["value"], 60 * 1024 * 1024)
        self.assertLess(figures["x.theirs.memory"]["value"], 8 * 1024 * 1024)
        self.assertGreater(figures["x.inputs"]["value"], 30 * 1024 * 1024)
        self.assertIn("no such shape", figures["x.broken"]["how"])


if __name__ == "__main__":
    unittest.main()
