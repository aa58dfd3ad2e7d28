"""compare.py itself: what must fail, fails."""
import importlib.metadata
import pathlib
import subprocess
import sys
import tempfile
import unittest

import numpy

import compare

FILE = """
import pathlib, sys
import compare
compare.FOLDER = pathlib.Path(sys.argv.pop(1))


class ThingTest(compare.PeersTest):
    area = "thing"

    def test_thing(self):
        {body}


if __name__ == "__main__":
    compare.main()
"""
ROW = """[[difference]]
id = "rounding"
what = "a thing"
peer = "numpy"
version = "{version}"
bound = 0.25
measure = "largest"
why = "it rounds"
"""


class CompareTest(unittest.TestCase):
    def outcome(self, body, row=ROW, version=None):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        (folder / "differences").mkdir()
        (folder / "differences/thing.toml").write_text(row.format(version=version or importlib.metadata.version("numpy")))
        (folder / "thing_peers_test.py").write_text(FILE.format(body=body))
        done = subprocess.run([sys.executable, "-B", folder / "thing_peers_test.py", folder], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def test_a_difference_within_its_bound_passes_and_says_how_much(self):
        status, output = self.outcome("self.differ('rounding', [1.0, 2.0], [1.0, 2.2], 'x')")
        self.assertEqual(status, 0, output)
        self.assertIn("rounding: at most 0.0909 seen, bound 0.25", output)

    def test_what_must_fail_fails(self):
        for body, words in (("self.differ('rounding', 1.0, 0.5, 'x')", "0.5 apart, explained are at most 0.25"),
                            ("self.differ('other', 1.0, 0.5, 'x')", "explains no other"),
                            ("self.differ('rounding', 1.0, 1.0, 'x')", "was not seen: take it out"),
                            ("pass", "was not seen: take it out"),
                            ("self.differ('rounding', [1.0], [1.1], 'x'); self.agree([1, 2], [1, 2 + 3e-9], 'y')", "y: 1.5e-09 apart"),
                            ("self.differ('rounding', float('nan'), 1.0, 'x')", "inf apart")):
            status, output = self.outcome(body)
            self.assertEqual(status, 1, output)
            self.assertIn(words, output)

    def test_a_row_for_another_version_of_the_peer_fails(self):
        status, output = self.outcome("self.differ('rounding', [1.0], [1.1], 'x')", version="0.1")
        self.assertEqual(status, 1)
        self.assertIn("was written for numpy 0.1", output)

    def test_a_row_without_a_reason_or_a_bound_fails(self):
        for row in (ROW.replace('why = "it rounds"', 'why = " "'), ROW.replace("bound = 0.25", "bound = 0"), ROW.replace("bound = 0.25", ""), ROW + ROW):
            status, output = self.outcome("self.differ('rounding', [1.0], [1.1], 'x')", row)
            self.assertEqual(status, 1, output)

    def test_distance_is_relative_above_one_and_infinite_where_one_side_has_no_number(self):
        self.assertEqual(compare.distance([0.5, 100.0], [0.25, 101.0]), 0.25)
        self.assertAlmostEqual(compare.distance(99.0, 100.0), 0.01)
        self.assertEqual(compare.distance([numpy.nan, numpy.inf], [numpy.nan, numpy.inf]), 0)
        self.assertEqual(compare.distance([], []), 0)
        for theirs in ([1.0, numpy.inf], [1.0, numpy.nan], [1.0], [[1.0, 2.0]]):
            self.assertEqual(compare.distance([1.0, 2.0], theirs), numpy.inf)


if __name__ == "__main__":
    unittest.main()
