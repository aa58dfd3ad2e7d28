"""Summaries and drift profiles beside numpy and scipy."""

import collections
import math

import numpy
import scipy.spatial
import scipy.stats

import compare
from tidewheel_peers import drift as ours

SIZES = (2, 9, 300, 5_000, 70_000)


def column(kind, random, rows):
    """One column of many kinds: smooth, heavy tails, ties, constant, far from zero."""
    return {
        "normal": lambda: random.standard_normal(rows),
        "lognormal": lambda: numpy.exp(2 * random.standard_normal(rows)),
        "cauchy": lambda: random.standard_cauchy(rows),
        "ties": lambda: random.integers(0, 5, rows).astype(float),
        "mostly zero": lambda: numpy.where(random.uniform(size=rows) < 0.9, 0.0, random.standard_normal(rows) * 100),
        "constant": lambda: numpy.full(rows, 0.1),
        "far": lambda: 1e6 + random.standard_normal(rows),
        "outlier": lambda: numpy.append(random.standard_normal(rows - 1), 1e9),
    }[kind]()


KINDS = ("normal", "lognormal", "cauchy", "ties", "mostly zero", "constant", "far", "outlier")


class MomentsTest(compare.PeersTest):
    area = "drift"

    def test_agree_whole_and_merged(self):
        for seed in compare.SEEDS:
            for rows in SIZES:
                kind = KINDS[(seed + rows) % len(KINDS)]
                random = numpy.random.default_rng([seed, rows])
                values = column(kind, random, rows)
                values[random.uniform(size=rows) < 0.1] = numpy.nan
                values[0] = 0.25
                for narrow in (False, True):
                    data = values.astype(numpy.float32) if narrow else values
                    # Peers are given doubles about the first value, or they themselves lose the digits that are compared.
                    there = data[~numpy.isnan(data)].astype(float)
                    middle = float(there[0])
                    exact = there - middle
                    for parts in (1, 7):
                        what = f"seed {seed}, {kind} x {rows}, {parts} parts, float32 {narrow}"
                        count, missing, mean, variance, least, largest, skewness, kurtosis = ours.moments(data, parts)
                        self.agree([count, missing, least, largest], [there.size, rows - there.size, there.min(), there.max()], what)
                        self.agree(mean, middle + exact.mean(), what)
                        self.agree(variance, exact.var(), what)
                        if there.min() == there.max():
                            self.assertIsNone(skewness, what)
                            self.assertIsNone(kurtosis, what)
                            continue
                        self.agree(skewness, scipy.stats.skew(exact), what)
                        self.agree(kurtosis, scipy.stats.kurtosis(exact), what)

    def test_refuse_what_is_infinite(self):
        self.refused("value 1 is infinite", ours.moments, numpy.array([1, -math.inf]))
        self.refused("there is no value", ours.moments, numpy.array([math.nan]))


class HistogramTest(compare.PeersTest):
    area = "drift"

    def test_agrees_with_given_edges(self):
        for seed in compare.SEEDS:
            random = numpy.random.default_rng(seed)
            for rows in SIZES:
                values = numpy.round(random.standard_normal(rows), 1) if seed % 2 else random.standard_normal(rows)
                edges = numpy.unique(numpy.round(random.standard_normal(12), 1))
                counts, below, above = ours.histogram(values, edges.tolist())
                self.agree(counts, numpy.histogram(values, edges)[0], f"seed {seed} x {rows}")
                self.agree([below, above], [(values < edges[0]).sum(), (values > edges[-1]).sum()], f"seed {seed} x {rows}")

    def test_agrees_with_equal_bins(self):
        for seed in compare.SEEDS:
            random = numpy.random.default_rng(seed)
            for rows in SIZES:
                values = numpy.round(random.standard_normal(rows), seed % 4)
                low, high = values.min() - 0.1 * (seed % 3), values.max() + 0.1
                bins = int(random.integers(1, 500))
                counts, edges = ours.uniform_histogram(values, low, high, bins)
                theirs, their_edges = numpy.histogram(values, bins, (low, high))
                self.agree(edges, their_edges, f"seed {seed} x {rows}")
                self.agree(counts, theirs, f"seed {seed} x {rows}")


class ProfileTest(compare.PeersTest):
    area = "drift"

    def windows(self):
        """Reference and current window of each kind: as the reference, moved, wider, and of another size."""
        for seed in compare.SEEDS:
            random = numpy.random.default_rng(seed)
            rows, others = [(500, 400), (5_000, 5_000), (20_000, 7_000), (3_000, 1)][seed % 4]
            reference = numpy.stack([column(kind, random, rows) for kind in KINDS])
            current = numpy.stack([column(kind, random, others) for kind in KINDS])
            current = [current, current + 0.4, 1.5 * current, current - 3][seed // 4 % 4]
            yield f"seed {seed}, {rows} and {others}", reference, current, seed % 2 == 1, seed % 3 != 2

    def test_psi_and_jensen_shannon_agree_over_the_same_edges(self):
        for what, reference, current, span_all, equal_shares in self.windows():
            profile = ours.reference(reference, span_all=span_all, equal_shares=equal_shares)
            window = ours.window(profile, current)
            for i, drift in enumerate(ours.compare(profile, window)):
                edges = numpy.concatenate([[-math.inf], ours.bins(profile, i)[0], [math.inf]])
                a, b = numpy.histogram(reference[i], edges)[0], numpy.histogram(current[i], edges)[0]
                self.agree(ours.bins(window, i)[2], b, f"{what}, {KINDS[i]}")
                p, q = (a + 0.5) / (a + 0.5).sum(), (b + 0.5) / (b + 0.5).sum()
                self.agree(drift["psi"], ((q - p) * numpy.log(q / p)).sum(), f"{what}, {KINDS[i]}")
                theirs = scipy.spatial.distance.jensenshannon(a / a.sum(), b / b.sum(), 2)
                self.agree(drift["jensen_shannon"], theirs, f"{what}, {KINDS[i]}", tolerance=2e-8)  # A root: of rounding, near 0.

    def test_distances_are_within_their_stated_errors(self):
        for what, reference, current, span_all, equal_shares in self.windows():
            profile = ours.reference(reference, span_all=span_all, equal_shares=equal_shares)
            for i, drift in enumerate(ours.compare(profile, ours.window(profile, current, threads=2))):
                exact = scipy.stats.wasserstein_distance(reference[i], current[i])
                self.differ_by("profile_wasserstein", abs(drift["wasserstein"] - exact) / drift["wasserstein_error"], f"{what}, {KINDS[i]}")
                if span_all:
                    width = ours.bins(profile, i)[1]
                    self.assertLessEqual(drift["wasserstein_error"], width * (1 + 1e-9), f"{what}, {KINDS[i]}")
                if reference[i].std() > 1e-9:
                    self.agree(drift["scaled_wasserstein"] * (reference[i] - reference[i][0]).std(), drift["wasserstein"], f"{what}, {KINDS[i]}")
                ks = scipy.stats.ks_2samp(reference[i], current[i], method="asymp").statistic
                self.assertLessEqual(drift["ks"][0], ks + 1e-12, f"{what}, {KINDS[i]}")
                self.assertGreaterEqual(drift["ks"][1], ks - 1e-12, f"{what}, {KINDS[i]}")
                if not span_all:  # A grid that must span an outlier knows nothing of the rest, and its bounds say so.
                    self.differ_by("profile_ks", ks - drift["ks"][0], f"{what}, {KINDS[i]}")

    def test_float32_is_counted_as_its_doubles(self):
        for what, reference, current, span_all, equal_shares in self.windows():
            narrow, others = reference.astype(numpy.float32), current.astype(numpy.float32)
            profile = ours.reference(narrow, span_all=span_all, equal_shares=equal_shares)
            wide = ours.reference(narrow.astype(float), span_all=span_all, equal_shares=equal_shares)
            first = ours.compare(profile, ours.window(profile, others))
            second = ours.compare(wide, ours.window(wide, others.astype(float)))
            self.assertEqual(first, second, what)


class CategoriesTest(compare.PeersTest):
    area = "drift"

    def test_agree_with_the_formulas(self):
        for seed in compare.SEEDS:
            random = numpy.random.default_rng(seed)
            categories = int(random.integers(1, 30))
            reference = random.integers(-1, categories, 2_000).astype(numpy.int32)
            current = random.integers(-1, categories + 3 * (seed % 2), 500).astype(numpy.int32)
            found = ours.categories(reference, current, categories)
            a = numpy.bincount(numpy.minimum(reference[reference >= 0], categories), minlength=categories + 1)
            b = numpy.bincount(numpy.minimum(current[current >= 0], categories), minlength=categories + 1)
            p, q = (a + 0.5) / (a + 0.5).sum(), (b + 0.5) / (b + 0.5).sum()
            self.agree(found["psi"], ((q - p) * numpy.log(q / p)).sum(), f"seed {seed}")
            p, q = a / a.sum(), b / b.sum()
            self.agree(found["total_variation"], numpy.abs(p - q).sum() / 2, f"seed {seed}")
            self.agree(found["jensen_shannon"], scipy.spatial.distance.jensenshannon(p, q, 2), f"seed {seed}", tolerance=2e-8)
            self.agree(found["unseen_share"], q[-1], f"seed {seed}")


class SketchesTest(compare.PeersTest):
    area = "drift"

    def test_quantiles_are_within_the_stated_rank_error(self):
        shares = numpy.linspace(0, 1, 41)
        for seed in compare.SEEDS:
            for rows in SIZES:
                for parts in (1, 5):
                    kind = KINDS[(seed + rows) % len(KINDS)]
                    values = column(kind, numpy.random.default_rng([seed, rows]), rows)
                    what = f"seed {seed}, {kind} x {rows}, {parts} parts"
                    points = numpy.quantile(values, shares)
                    quantiles, ranks, error, size = ours.quantiles(values, shares, points, 100, seed, parts, 0.9999)
                    ordered = numpy.sort(values)
                    exact = numpy.searchsorted(ordered, points, side="right") / rows
                    below = numpy.searchsorted(ordered, quantiles, side="left") / rows
                    upto = numpy.searchsorted(ordered, quantiles, side="right") / rows
                    apart = max(numpy.abs(ranks - exact).max(), (shares - upto).max(), (below - shares).max())
                    self.assertLess(size, 3.5 * 100 + 8 * 20, what)
                    if error == 0:
                        self.agree(ranks, exact, what)
                        self.assertLessEqual(apart, 1e-12, what)
                        continue
                    self.differ_by("sketch_rank", apart / error, what)

    def test_distinct_counts_are_within_the_stated_error(self):
        for seed in compare.SEEDS:
            for rows in (100, 1_000, 30_000, 200_000):
                values = numpy.random.default_rng([seed, rows]).integers(0, rows, rows)
                exact = numpy.unique(values).size
                estimate, error = ours.distinct(values, 12)
                if error == 0:
                    self.agree(estimate, exact, f"seed {seed} x {rows}")
                    continue
                self.differ_by("distinct_count", abs(estimate / exact - 1) / error, f"seed {seed} x {rows}")

    def test_frequent_items_hold_their_bounds(self):
        for seed in compare.SEEDS:
            names = [str(name) for name in numpy.random.default_rng(seed).zipf(1.3, 20_000)]
            exact = collections.Counter(names)
            few, shortfall = ours.frequent([name[:1] for name in names], 10, 10)
            self.assertEqual(shortfall, 0)
            self.assertEqual({name: least for name, least, _ in few}, collections.Counter(name[:1] for name in names))
            top, shortfall = ours.frequent(names, 100, 20)
            for name, least, most in top:
                self.assertLessEqual(least, exact[name])
                self.assertGreaterEqual(most, exact[name])
            self.assertLessEqual(shortfall, len(names) / 101)
            for name, times in exact.most_common(3):
                self.assertIn(name, [one for one, _, _ in top], f"seed {seed}: {times}")


if __name__ == "__main__":
    compare.main()
