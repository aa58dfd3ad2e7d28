"""What the comparisons with peers share. A test file of an area reads:

    import compare
    from tidewheel_peers import classification as ours

    class McNemarTest(compare.PeersTest):
        area = "classification"

        def test_agrees_with_the_binomial_test(self):
            for seed in compare.SEEDS: ...
                self.agree(ours.mcnemar(b, c)[0], scipy.stats.binomtest(b, b + c).pvalue, f"seed {seed}")

    if __name__ == "__main__":
        compare.main()

`agree` wants equality to 1e-9. A difference that has a reason is a table in differences/<area>.toml, by whose id `differ` and
`differ_by` hold the test to its bound; docs/peers.md is written from these files (tools/write-peers-table)."""

import importlib.metadata
import math
import pathlib
import sys
import tomllib
import unittest

import numpy

FOLDER = pathlib.Path(__file__).resolve().parent
SEEDS = range(20)
TOLERANCE = 1e-9
FIELDS = {"id", "what", "peer", "version", "bound", "measure", "why"}


def differences(area):
    """The explained differences of an area by id; ValueError names what is wrong with the file."""
    path = FOLDER / "differences" / f"{area}.toml"
    if not path.exists():
        return {}
    found = {}
    for entry in tomllib.loads(path.read_text(encoding="utf-8")).get("difference", []):
        name = entry.get("id", "?")
        if set(entry) != FIELDS:
            raise ValueError(f"{path.name}: {name}: has {sorted(entry)}, wants {sorted(FIELDS)}")
        if name in found:
            raise ValueError(f"{path.name}: two differences are called {name}")
        if not isinstance(entry["bound"], (int, float)) or not entry["bound"] > 0:
            raise ValueError(f"{path.name}: {name}: the bound is a number above 0")
        if any(not isinstance(entry[field], str) or not entry[field].strip() for field in FIELDS - {"bound"}):
            raise ValueError(f"{path.name}: {name}: every field but the bound is a text")
        found[name] = entry
    return found


def distance(ours, theirs):
    """The largest difference, relative where the peer's value is above 1; infinite where only one side is a number, or shapes differ."""
    ours, theirs = numpy.asarray(ours, dtype=float), numpy.asarray(theirs, dtype=float)
    if ours.shape != theirs.shape:
        return math.inf
    if ours.size == 0:
        return 0.0
    same = (ours == theirs) | (numpy.isnan(ours) & numpy.isnan(theirs))
    with numpy.errstate(invalid="ignore", over="ignore"):
        apart = numpy.abs(ours - theirs) / numpy.maximum(1.0, numpy.abs(theirs))
    apart = numpy.where(same, 0.0, numpy.where(numpy.isfinite(apart), apart, math.inf))
    return float(apart.max())


class PeersTest(unittest.TestCase):
    """One class of an area's comparisons; `area` names its file of differences."""

    area = None
    _seen = {}  # By (area, id): the largest difference of this run.

    @classmethod
    def setUpClass(cls):
        if cls.area is None:
            raise ValueError(f"{cls.__name__} names no area")
        cls._explained = differences(cls.area)
        for name, entry in cls._explained.items():
            installed = importlib.metadata.version(entry["peer"])
            if installed != entry["version"]:
                raise ValueError(f"{cls.area}.toml: {name} was written for {entry['peer']} {entry['version']}, installed is {installed}")

    def agree(self, ours, theirs, what, tolerance=TOLERANCE):
        """Equal to 1e-9, relative above 1. `what` says which input it was. Another tolerance wants a reason beside the call."""
        apart = distance(ours, theirs)
        if not apart <= tolerance:
            self.fail(f"{what}: {apart:.3g} apart\nours   {numpy.asarray(ours)}\ntheirs {numpy.asarray(theirs)}")

    def differ(self, name, ours, theirs, what):
        """An explained difference: as `agree`, within the bound that differences/<area>.toml gives to `name`."""
        self.differ_by(name, distance(ours, theirs), what)

    def differ_by(self, name, amount, what):
        """The same for a difference that the test measures itself, such as a share of items."""
        if name not in self._explained:
            self.fail(f"{what}: differences/{self.area}.toml explains no {name}")
        bound = self._explained[name]["bound"]
        self._seen[self.area, name] = max(self._seen.get((self.area, name), 0.0), float(amount))
        if not amount <= bound:
            self.fail(f"{what}: {name}: {amount:.6g} apart, explained are at most {bound:g}")

    def refused(self, words, function, *arguments):
        """Ours answers with an error whose message has these words."""
        with self.assertRaises(ValueError) as caught:
            function(*arguments)
        self.assertIn(words, str(caught.exception))


def main():
    """Runs the file's tests; a whole run also wants every explained difference of its areas to be seen."""
    # Peers warn about just the inputs that are of interest here: a class without samples, a constant column.
    program = unittest.main(module="__main__", exit=False, warnings="ignore")
    good = program.result.wasSuccessful() and program.result.testsRun > 0
    classes = [one for one in vars(sys.modules["__main__"]).values() if isinstance(one, type) and issubclass(one, PeersTest) and one.area]
    for area in sorted({one.area for one in classes}):
        for name, entry in differences(area).items():
            seen = PeersTest._seen.get((area, name))
            if seen is not None:
                print(f"explained: {area}: {name}: at most {seen:.3g} seen, bound {entry['bound']:g}")
            # Run with a test's name, only a part of them can be seen.
            if len(sys.argv) == 1 and not (seen or 0) > 0:
                print(f"FAIL: differences/{area}.toml explains {name}, which was not seen: take it out")
                good = False
    sys.exit(0 if good else 1)
