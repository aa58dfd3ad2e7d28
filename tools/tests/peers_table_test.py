#!/usr/bin/env python3
"""tools/write-peers-table on checkouts that are made up."""

import pathlib
import shutil
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
ROW = """[[difference]]
id = "rounding"
what = "a|b"
peer = "scipy"
version = "{version}"
bound = 0.25
measure = "share"
why = "two\\n lines"
"""


class PeersTableTest(unittest.TestCase):
    def setUp(self):
        self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        for folder in ("docs", "tests/peers/differences", "third_party"):
            (self.root / folder).mkdir(parents=True)
        shutil.copy(ROOT / "third_party/requirements-peers.txt", self.root / "third_party")
        pins = (self.root / "third_party/requirements-peers.txt").read_text()
        self.version = pins.split("\nscipy==")[1].split()[0]

    def differences(self, text):
        (self.root / "tests/peers/differences/area.toml").write_text(text)

    def table(self, *words):
        return subprocess.run([ROOT / "tools/write-peers-table", *words, self.root], capture_output=True, text=True, check=False)

    def test_a_row_is_written_and_then_checked(self):
        self.differences(ROW.format(version=self.version))
        self.assertEqual(self.table("--check").returncode, 1)
        self.assertEqual(self.table().returncode, 0)
        self.assertIn(f"| area | a\\|b | scipy {self.version} | 0.25 (share) | two lines |", (self.root / "docs/peers.md").read_text())
        self.assertEqual(self.table("--check").returncode, 0)

        self.differences(ROW.format(version=self.version).replace("0.25", "0.5"))
        self.assertEqual(self.table("--check").returncode, 1)

    def test_a_row_of_another_version_or_with_a_field_missing_is_refused(self):
        self.differences(ROW.format(version="0.1"))
        done = self.table()
        self.assertEqual(done.returncode, 1)
        self.assertIn("area.toml: rounding: scipy 0.1, pinned is", done.stderr)

        self.differences(ROW.format(version=self.version).replace("bound = 0.25", ""))
        done = self.table()
        self.assertEqual(done.returncode, 1)
        self.assertIn("area.toml: rounding: has", done.stderr)


if __name__ == "__main__":
    unittest.main()
