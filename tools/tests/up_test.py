#!/usr/bin/env python3
"""The launcher with a real PostgreSQL and small stand-ins for the services."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest

TOOLS = pathlib.Path(__file__).resolve().parent.parent
TABLE = {
    "services": [
        {"name": "model-registry", "key": "REGISTRY", "role": "tidewheel_registry", "uses": [], "asks": []},
        {"name": "ingestion", "role": "tidewheel_ingestion", "uses": ["postgres", "payloads"], "asks": ["model-registry"]},
    ],
    "settings": {"postgres": {"POSTGRES_DSN": "{postgres}"}, "payloads": {"PAYLOADS_ROOT": "{payloads}"}},
}


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class UpTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="tidewheel-up-test-")
        self.addCleanup(self.folder.cleanup)
        base = pathlib.Path(self.folder.name)
        base.chmod(0o755)
        self.home = base / "var"
        self.bin = base / "bin"
        self.bin.mkdir()
        for row in TABLE["services"]:
            (self.bin / f"tidewheel-{row['name']}").symlink_to(TOOLS / "tests" / "fake_service")
        self.table = base / "services.json"
        self.table.write_text(json.dumps(TABLE))
        self.launchers = []
        self.addCleanup(self.end)

    def end(self):
        for launcher in self.launchers:
            if launcher.poll() is None:
                launcher.terminate()
            launcher.communicate()
        subprocess.run([TOOLS / "up", "--forget", "--dir", self.home], check=True, stderr=subprocess.DEVNULL)

    def up(self, *more, **environment):
        launcher = subprocess.Popen([TOOLS / "up", "--dir", self.home, "--bin", self.bin, "--services", self.table, *more],
                                    stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment})
        self.launchers.append(launcher)
        return launcher

    def eventually(self, ask, limit=60):
        deadline = time.monotonic() + limit
        while not (found := ask()):
            self.assertLess(time.monotonic(), deadline, "did not happen in time")
            time.sleep(0.05)
        return found

    def platform(self):
        try:
            return json.loads((self.home / "run" / "platform.json").read_text())
        except (OSError, ValueError):
            return None

    def sql(self, platform, text):
        return subprocess.run([platform["postgres"]["bin"] + "/psql", platform["postgres"]["admin_dsn"], "-XAtc", text],
                              capture_output=True, text=True).stdout.strip()

    def test_starts_in_order_tells_addresses_and_stops_in_reverse(self):
        launcher = self.up()
        platform = self.eventually(self.platform)

        self.assertEqual(self.sql(platform, "SHOW fsync"), "on")
        self.assertEqual(self.sql(platform, "SHOW listen_addresses"), "")
        socket_folder = pathlib.Path(platform["postgres"]["socket_folder"])
        self.assertEqual(socket_folder.stat().st_mode & 0o777, 0o700)
        told = json.loads((self.home / "ingestion.told.json").read_text())
        self.assertEqual(told["TIDEWHEEL_INGESTION_REGISTRY_ADDRESS"], platform["services"]["model-registry"]["grpc"])
        self.assertIn("user=tidewheel_ingestion", told["TIDEWHEEL_INGESTION_POSTGRES_DSN"])

        launcher.send_signal(signal.SIGINT)
        self.assertEqual(launcher.wait(30), 0)
        self.assertEqual((self.home / "fake.log").read_text().splitlines(),
                         ["migrate model-registry True", "migrate ingestion True", "stop ingestion", "stop model-registry"])
        self.assertIsNone(self.platform())
        self.assertFalse(socket_folder.exists())
        self.assertFalse(alive(platform["postgres"]["pid"]))

    def test_a_second_launcher_of_the_same_folder_is_refused(self):
        self.up()
        self.eventually(self.platform)

        second = self.up()
        self.assertEqual(second.wait(30), 1)
        self.assertIn("already runs", second.stderr.read())
        self.assertIsNotNone(self.platform())

    def test_what_dies_is_started_again_at_the_same_address(self):
        self.up()
        before = self.eventually(self.platform)
        for victim, pid in (("ingestion", before["services"]["ingestion"]["pid"]), ("postgres", before["postgres"]["pid"])):
            os.kill(pid, signal.SIGKILL)
            self.eventually(lambda: not alive(pid))
        after = self.eventually(lambda: (now := self.platform()) and alive(now["postgres"]["pid"]) and alive(now["services"]["ingestion"]["pid"])
                                and self.sql(now, "SELECT 1") == "1" and now)

        self.assertNotEqual(after["services"]["ingestion"]["pid"], before["services"]["ingestion"]["pid"])
        self.assertEqual(after["services"]["ingestion"]["grpc"], before["services"]["ingestion"]["grpc"])

    def test_a_killed_server_comes_back_though_one_of_its_sessions_still_computes(self):
        self.up()
        before = self.eventually(self.platform)
        busy = subprocess.Popen([before["postgres"]["bin"] + "/psql", before["postgres"]["admin_dsn"], "-XAtc",
                                 "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 1000000) b"],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(busy.communicate)
        self.eventually(lambda: self.sql(before, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%generate_series%' AND state = 'active'") == "2")
        for _ in range(2):
            killed = self.platform()["postgres"]["pid"]
            os.kill(killed, signal.SIGKILL)
            self.eventually(lambda: (now := self.platform()) and now["postgres"]["pid"] != killed and self.sql(now, "SELECT 1") == "1", limit=20)

    def test_a_service_that_starts_later_is_told_of_before(self):
        table = {**TABLE, "services": [{**TABLE["services"][0], "asks": ["ingestion", "model-registry"]}, TABLE["services"][1]]}
        self.table.write_text(json.dumps(table))
        self.up()
        platform = self.eventually(self.platform)
        told = json.loads((self.home / "model-registry.told.json").read_text())
        self.assertEqual(told["TIDEWHEEL_MODEL_REGISTRY_INGESTION_ADDRESS"], platform["services"]["ingestion"]["grpc"])

    def test_nothing_outlives_a_killed_launcher_and_the_data_is_kept(self):
        launcher = self.up()
        first = self.eventually(self.platform)
        self.sql(first, "CREATE TABLE kept AS SELECT 42 AS answer")
        launcher.kill()
        launcher.wait()
        pids = [entry["pid"] for entry in first["services"].values()] + [first["postgres"]["pid"]]
        self.eventually(lambda: not any(alive(pid) for pid in pids))

        self.up()
        second = self.eventually(lambda: (now := self.platform()) and now["pid"] != first["pid"] and now)
        self.assertEqual(self.sql(second, "SELECT answer FROM kept"), "42")
        self.assertFalse(pathlib.Path(first["postgres"]["socket_folder"]).exists())

    def test_a_service_that_cannot_start_is_named_and_everything_stops(self):
        launcher = self.up(FAKE_BREAKS="ingestion")
        self.assertEqual(launcher.wait(60), 1)
        self.assertIn("ingestion --migrate ended with status 3", launcher.stderr.read())
        self.assertIsNone(self.platform())
        self.assertNotIn("stop", (self.home / "fake.log").read_text())

    def test_a_command_runs_against_the_platform_which_ends_with_it(self):
        script = "import json, os, sys; sys.exit(7 if json.load(open(os.environ['TIDEWHEEL_PLATFORM']))['services'] else 1)"
        launcher = self.up("--", sys.executable, "-c", script)
        self.assertEqual(launcher.wait(60), 7)
        self.assertIsNone(self.platform())

    def test_down_stops_it_from_outside(self):
        launcher = self.up()
        self.eventually(self.platform)
        subprocess.run([TOOLS / "up", "--down", "--dir", self.home], check=True, stderr=subprocess.DEVNULL)
        self.assertEqual(launcher.wait(10), 0)


if __name__ == "__main__":
    unittest.main()
