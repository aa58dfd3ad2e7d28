#!/usr/bin/env python3
"""Every query of every dashboard, and every rule, asked of a real Prometheus that scrapes the platform while it works.

Ends with 77 when PostgreSQL, Prometheus or PyYAML is not installed: ctest then says "skipped"."""

import argparse
import ctypes
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

sys.dont_write_bytecode = True
try:
    import yaml
except ImportError:
    python = os.environ.get("TIDEWHEEL_TEST_PYTHON") or os.path.expanduser(
        os.path.join(os.environ.get("TIDEWHEEL_CACHE", "~/.cache/tidewheel"), "test-venv/bin/python"))
    if os.access(python, os.X_OK) and "TIDEWHEEL_OBSERVABILITY_AGAIN" not in os.environ:
        os.execve(python, [python, *sys.argv], dict(os.environ, TIDEWHEEL_OBSERVABILITY_AGAIN="1"))
    print("skipped: no PyYAML; ./tidewheel setup --test makes the tests' Python environment")
    sys.exit(77)

import queries  # noqa: E402

ARGUMENTS = None
TASK = "bars"
CLASSES = ("standing", "lying")
TASK_YAML = """
task: bars
classes: [standing, lying]
preprocessing: {width: 28, height: 28, channels: 1}
quality: {max_payload: 1MiB, near_duplicate_quarantine_distance: -1, near_duplicate_group_distance: -1}
splits: {validation_share: 0.2, test_share: 0.2}
gate: {primary_metric: accuracy, min_primary_metric: 0.5}
monitoring: {window_predictions: 20, lateness_seconds: 1}
capture: {random_share: 0.5}
cycle: {enabled: true}
"""


def bar_picture(number):
    """A PGM of 28 x 28 with bars that stand or lie, and noise; the same each time."""
    numbers = random.Random(number)
    standing = number % 2 == 0
    period, phase = numbers.randint(6, 9), numbers.randint(0, 5)
    pixels = bytearray()
    for y in range(28):
        for x in range(28):
            level = 190 if ((x if standing else y) + phase) % period < period // 2 else 60
            pixels.append(max(0, min(255, level + numbers.randint(-30, 30))))
    return b"P5\n28 28\n255\n" + bytes(pixels)


def end_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def eventually(ask, seconds, what):
    """The first true answer; an AssertionError that tells the last exception or `what` when the time is over."""
    deadline = time.monotonic() + seconds * int(os.environ.get("TIDEWHEEL_TEST_PATIENCE", "1"))
    while True:
        problem = None
        try:
            answer = ask()
            if answer:
                return answer
        except (OSError, ValueError, KeyError) as failure:
            problem = failure
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what() if callable(what) else what}{f' ({problem})' if problem else ''}")
        time.sleep(0.1)


def fetch(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


class Prometheus:
    """A real one with temporary storage, configured as deploy/prometheus but for addresses and intervals."""

    def __init__(self, folder, services):
        self.log = folder / "prometheus.log"
        config = yaml.safe_load((queries.PROMETHEUS / "prometheus.yml").read_text(encoding="utf-8"))
        jobs = {scrape["job_name"] for scrape in config["scrape_configs"]}
        if jobs != set(services):
            raise AssertionError(f"prometheus.yml scrapes {sorted(jobs)}, the platform runs {sorted(services)}")
        for scrape in config["scrape_configs"]:
            scrape["static_configs"] = [{"targets": [services[scrape["job_name"]]["metrics"]]}]
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = [str(queries.PROMETHEUS / pattern) for pattern in config["rule_files"]]
        path = folder / "prometheus.yml"
        path.write_text(yaml.safe_dump(config), encoding="utf-8")
        for _ in range(5):
            # It cannot choose a port and tell; when another process is faster, it is tried again.
            with socket.socket() as each:
                each.bind(("127.0.0.1", 0))
                self.address = "127.0.0.1:%d" % each.getsockname()[1]
            with self.log.open("ab") as log:
                self.process = subprocess.Popen(
                    ["prometheus", f"--config.file={path}", f"--storage.tsdb.path={folder / 'prometheus'}", f"--web.listen-address={self.address}"],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=end_with_parent)
            try:
                eventually(self.is_ready, 30, "Prometheus is ready")
                return
            except AssertionError:
                self.stop()
        raise AssertionError("Prometheus does not start: " + self.log.read_text(errors="replace")[-3000:])

    def is_ready(self):
        if self.process.poll() is not None:
            raise AssertionError("Prometheus ended")
        return fetch(f"http://{self.address}/-/ready")

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(30)

    def get(self, path, **parameters):
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            return json.loads(fetch(url))["data"]
        except urllib.error.HTTPError as refused:
            raise AssertionError(f"{parameters}: {refused.read().decode()}") from None

    def query(self, expression):
        """The samples of an instant query; an AssertionError tells what Prometheus does not understand."""
        answer = self.get("query", query=expression)
        return [answer["result"]] if answer["resultType"] == "scalar" else answer["result"]


class ObservabilityTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="tidewheel-observability-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.folder.chmod(0o755)  # PostgreSQL runs as another user when we are root.
        cls.home = cls.folder / "var"
        cls.start_platform()
        cls.prometheus = Prometheus(cls.folder, cls.services)
        cls.addClassCleanup(cls.prometheus.stop)
        # Counters must be seen before they rise.
        eventually(lambda: len(cls.prometheus.query("count_over_time(up[1m]) >= 2 and up == 1")) == len(cls.services), 60,
                   lambda: f"every service is scraped twice: {cls.prometheus.query('up')}")
        cls.turn_the_wheel()

    @classmethod
    def start_platform(cls):
        log = cls.folder / "up.log"
        with log.open("wb") as stream:
            up = subprocess.Popen([sys.executable, queries.ROOT / "tools/up", "--dir", cls.home, "--bin", ARGUMENTS.bin],
                                  stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, preexec_fn=end_with_parent)

        def stop():
            if up.poll() is None:
                up.terminate()
            up.wait(120)
            # The cluster's data may lie elsewhere.
            subprocess.run([sys.executable, queries.ROOT / "tools/up", "--forget", "--dir", cls.home], check=False, capture_output=True)

        cls.addClassCleanup(stop)
        cls.platform_file = cls.home / "run/platform.json"

        def announced():
            if up.poll() is not None:
                raise AssertionError("the platform does not start:\n" + log.read_text(errors="replace")[-5000:])
            return cls.platform_file.exists()

        eventually(announced, 120, lambda: "the platform runs:\n" + log.read_text(errors="replace")[-5000:])
        cls.services = json.loads(cls.platform_file.read_text(encoding="utf-8"))["services"]

    @classmethod
    def cli(cls, *words, status=0):
        """Runs the command-line program; gives its JSON. ValueError: it ends with another status."""
        command = [str(ARGUMENTS.bin / "tidewheel"), "--platform", str(cls.platform_file), "--json", *map(str, words)]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600, check=False)
        if done.returncode != status:
            raise ValueError(f"tidewheel {' '.join(map(str, words))} ended with {done.returncode}, not {status}: {done.stdout} {done.stderr}")
        return json.loads(done.stdout) if done.stdout.strip() else {}

    @classmethod
    def turn_the_wheel(cls):
        """Something of all that dashboards show: samples good and bad, votes, labels, a dataset, a run, predictions, outcomes, errors, a cycle."""
        pictures = cls.folder / "bars"
        pictures.mkdir()
        names = [f"{number}.pgm" for number in range(240)]  # Enough of them are held out to judge windows by.
        for number, name in enumerate(names):
            (pictures / name).write_bytes(bar_picture(number))
        (pictures / "broken.pgm").write_bytes(b"P5\n28 28\n255\nshort")
        (cls.folder / "bars.yaml").write_text(TASK_YAML, encoding="utf-8")
        votes = cls.folder / "votes.csv"
        votes.write_text("sample,class,annotator\n" +
                         "".join(f"bars/{name},{CLASSES[number % 2]},{who}\n" for number, name in enumerate(names) for who in ("ada", "bo")),
                         encoding="utf-8")

        cls.cli("apply", cls.folder / "bars.yaml")
        cls.cli("push", "--task", TASK, pictures)
        cls.cli("push", "--task", TASK, pictures)  # Changes nothing, and is counted as such.
        cls.cli("label", "import", "--task", TASK, "--kind", "person", votes)
        cls.cli("label", "compute", "--task", TASK)
        cls.cli("dataset", "build", "--task", TASK)
        run = cls.cli("train", "--dataset", TASK, "--recipe", "image-linear", "--seed", 1, "--epochs", 3, "--wait")
        cls.cli("promote", run["model_version_id"], "--override", "a test needs a model that serves")
        eventually(lambda: cls.cli("predict", "--task", TASK, pictures / names[0])["predictions"], 30, "the model serves")
        answers = []
        for first in range(0, 60, 15):  # Windows of 20 then last a while.
            answers += cls.cli("predict", "--task", TASK, *(pictures / name for name in names[first:first + 15]))["predictions"]
        outcomes = cls.folder / "outcomes.csv"
        outcomes.write_text("request_id,index,class\n" + "".join(
            f"{answer['request_id']},{answer['index']},{CLASSES[number % 2]}\n" for number, answer in enumerate(answers)), encoding="utf-8")
        cls.cli("outcome", "--task", TASK, "--source", "inspection", outcomes)
        cls.cli("predict", "--task", "nothing-of-that-name", pictures / names[0], status=1)
        cycle = cls.cli("cycle", "start", "--task", TASK, "--reason", "to be seen on a dashboard")
        cls.cli("cycle", "cancel", cycle["cycle"]["cycle_id"] if "cycle" in cycle else cycle["cycle_id"])
        http = cls.services["console"]["http"]
        fetch(f"http://{http}/")

        for metric, least in (("sum(tidewheel_monitoring_stored_outcomes)", 60), ("sum(tidewheel_monitoring_windows_judged_total)", 2),
                              ("sum(tidewheel_training_cycles_ended_total)", 1), ("count(tidewheel_training_task_cycles)", 1),
                              ("count(tidewheel_monitoring_window_drift_ratio)", 1), ("count(tidewheel_monitoring_window_accuracy_high_ratio)", 1),
                              ("count(tidewheel_monitoring_window_estimated_accuracy_high_ratio)", 1), ("count(tidewheel_monitoring_open_alerts)", 1),
                              ("count(tidewheel_monitoring_estimate_audit_ratio)", 1),
                              ("count(tidewheel_monitoring_window_predictions_per_second_ratio)", 1)):
            eventually(lambda: cls.value(metric) >= least, 60, lambda: f"{metric} of at least {least}: {cls.prometheus.query(metric)}")

    @classmethod
    def value(cls, expression):
        found = cls.prometheus.query(expression)
        return float(found[0]["value"][1]) if found else 0

    @classmethod
    def exported(cls):
        """The names on every service's /metrics, with what histograms add."""
        names = set()
        for service in cls.services.values():
            for line in fetch(f"http://{service['metrics']}/metrics").splitlines():
                if line and not line.startswith("#"):
                    names.add(line.split("{")[0].split(" ")[0])
        return names

    def rules(self):
        return [rule for group in self.prometheus.get("rules")["groups"] for rule in group["rules"]]

    def assert_answers(self, where, expression):
        try:
            eventually(lambda: self.prometheus.query(expression), 15, "it has data")
        except AssertionError as problem:
            self.fail(f"{where}: {expression}: {problem}")

    def test_every_panel_shows_something(self):
        asked = 0
        for where, expression in queries.panel_queries():
            with self.subTest(where):
                self.assert_answers(where, expression)
                asked += 1
        self.assertGreater(asked, 110)

    def test_no_panel_shows_nothing_but_what_is_no_number(self):
        for where, expression in queries.panel_queries():
            with self.subTest(where):
                values = [sample["value"][1] for sample in self.prometheus.query(expression)]
                self.assertTrue(not values or any(value != "NaN" for value in values), f"{where}: {expression}: {values}")

    def test_every_variable_has_values(self):
        for where, metric, label in queries.variable_queries():
            with self.subTest(where):
                self.assertTrue(self.prometheus.get(f"label/{label}/values", **{"match[]": metric}), where)

    def test_every_rule_is_healthy_and_every_recorded_series_is_there(self):
        rules = self.rules()
        self.assertGreater(len(rules), 15)
        for rule in rules:
            with self.subTest(rule["name"]):
                self.assertEqual((rule["health"], rule.get("lastError", "")), ("ok", ""))
                if rule["type"] == "recording":
                    self.assert_answers(rule["name"], rule["name"])
                else:
                    self.prometheus.query(rule["query"])

    def test_nothing_fires_while_all_is_well(self):
        self.assertEqual([rule["name"] for rule in self.rules() if rule["type"] == "alerting" and rule["state"] == "firing"], [])

    def test_every_metric_that_is_asked_for_is_exported(self):
        known = self.exported() | {rule["name"] for rule in self.rules() if rule["type"] == "recording"}
        asked = list(queries.panel_queries()) + [(rule["name"], rule["query"]) for rule in self.rules()]
        asked += [(where, metric) for where, metric, _ in queries.variable_queries()]
        for where, expression in asked:
            with self.subTest(where):
                self.assertEqual(queries.metrics_of(expression) - known, set(), f"{where}: no service exports it")

    def test_a_metric_of_another_name_would_be_found(self):
        self.assertEqual(queries.metrics_of('sum by (job) (rate(tidewheel_a_b_total{code="tidewheel_no"}[5m])) / (job:c:d > 0) or up'),
                         {"tidewheel_a_b_total", "job:c:d"})
        self.assertNotIn("tidewheel_a_b_total", self.exported())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=pathlib.Path, required=True, help="where the built programs are")
    ARGUMENTS, rest = parser.parse_known_args()
    for program, package in (("prometheus", "prometheus"), ("/usr/lib/postgresql/15/bin/postgres", "postgresql-15")):
        if shutil.which(program) is None and "TIDEWHEEL_POSTGRES_BIN" not in os.environ:
            print(f"skipped: no {program}; ./tidewheel setup --test installs Debian's {package}")
            sys.exit(77)
    unittest.main(argv=[sys.argv[0], *rest])
