"""Two-sample tests, tests on counts, distances, corrections and drift of many features, beside scipy and scikit-learn."""

import math

import numpy
import scipy.spatial.distance
import scipy.stats
import scipy.stats.contingency
import sklearn.ensemble
import sklearn.metrics
import sklearn.metrics.pairwise
import sklearn.model_selection

import compare
from tidewheel_peers import two_sample as ours

SIZES = [(1, 1), (2, 3), (5, 5), (20, 17), (60, 60), (97, 400), (1000, 900), (2500, 2500)]


def pair(seed, n, m, ties):
    """Two samples that differ in every other seed; with ties whole numbers, of which there are few in every third seed."""
    random = numpy.random.default_rng([seed, n, m])
    a, b = random.normal(size=n), random.normal(loc=0.4 * (seed % 2), scale=1 + 0.2 * (seed % 3), size=m)
    if ties:
        scale = 1 if seed % 3 == 0 else 20
        a, b = numpy.round(a * scale), numpy.round(b * scale)
    return a, b


def counts(seed, categories, largest):
    random = numpy.random.default_rng([seed, categories, largest])
    a, b = random.integers(0, largest, (2, categories)).astype(numpy.uint64)
    a[seed % categories] += 1
    b[(seed + 1) % categories] += 1
    return a, b


class KolmogorovSmirnovTest(compare.PeersTest):
    area = "two_sample"

    def test_exact_agrees_when_ties_are_ignored(self):
        for seed in compare.SEEDS:
            for n, m in SIZES:
                for ties in (False, True):
                    what = f"seed {seed}, {n} and {m}, ties {ties}"
                    a, b = pair(seed, n, m, ties)
                    statistic, p, location, sign, exact = ours.kolmogorov_smirnov(a, b, ties=False)
                    theirs = scipy.stats.ks_2samp(a, b, method="exact")
                    self.assertTrue(exact, what)
                    self.agree(statistic, theirs.statistic, what)
                    self.agree(p, theirs.pvalue, what)
                    # Where it is reached at several places, scipy names another of them.
                    self.agree((numpy.mean(a <= location) - numpy.mean(b <= location)), sign * statistic, what)

    def test_small_p_values_keep_their_digits(self):
        for n, m in ((50, 70), (300, 301), (1000, 400)):
            a, b = numpy.arange(n) + 0.5, numpy.arange(m) + n * 0.8
            p, theirs = ours.kolmogorov_smirnov(a, b, ties=False)[1], scipy.stats.ks_2samp(a, b, method="exact").pvalue
            self.agree(p / theirs, 1.0, f"{n} and {m}: {theirs}")

    def test_counting_ties_makes_p_values_smaller(self):
        for seed in compare.SEEDS:
            for n, m in SIZES:
                a, b = pair(seed, n, m, True)
                p, theirs = ours.kolmogorov_smirnov(a, b)[1], scipy.stats.ks_2samp(a, b, method="exact").pvalue
                self.assertLessEqual(p, theirs + 1e-9)
                self.differ("ks_ties", p, theirs, f"seed {seed}, {n} and {m}")

    def test_counting_ties_agrees_with_permutations(self):
        def statistic(x, y):
            return scipy.stats.ks_2samp(x, y, method="asymp").statistic
        for seed in range(6):
            a, b = pair(3 * seed, 6, 5, True)
            theirs = scipy.stats.permutation_test((a, b), statistic, n_resamples=numpy.inf, alternative="greater", vectorized=False).pvalue
            self.agree(ours.kolmogorov_smirnov(a, b)[1], theirs, f"seed {seed}")

    def test_large_samples(self):
        for seed in compare.SEEDS:
            a, b = pair(0, 30_000 + seed, 12_000, False)
            b += 0.002 * seed
            statistic, p, _, _, exact = ours.kolmogorov_smirnov(a, b)
            theirs = scipy.stats.ks_2samp(a, b)
            self.assertFalse(exact)
            self.agree(statistic, theirs.statistic, f"seed {seed}")
            self.differ("ks_asymptotic", p, theirs.pvalue, f"seed {seed}")
            same = ours.kolmogorov_smirnov(a[:20_000], numpy.concatenate([b, b[:8_000] + 1e-7]))
            theirs = scipy.stats.ks_2samp(a[:20_000], numpy.concatenate([b, b[:8_000] + 1e-7]))
            self.assertTrue(same[4])
            self.agree(same[0], theirs.statistic, f"seed {seed}, equal sizes")
            self.differ("ks_equal_sizes", same[1], theirs.pvalue, f"seed {seed}, equal sizes")
            narrow = ours.kolmogorov_smirnov(a.astype(numpy.float32), b.astype(numpy.float32))
            self.agree(narrow[0], scipy.stats.ks_2samp(a.astype(numpy.float32), b.astype(numpy.float32)).statistic, f"seed {seed}, float32")

    def test_limit_agrees(self):
        for x in numpy.geomspace(0.05, 8, 200):
            theirs = scipy.stats.kstwobign.sf(x)
            self.agree(ours.kolmogorov_tail(x), theirs, f"at {x}")

    def test_bad_input_has_a_name(self):
        self.refused("value 1 of the current sample", ours.kolmogorov_smirnov, numpy.ones(3), numpy.array([1, numpy.nan]))
        self.refused("the reference sample is empty", ours.kolmogorov_smirnov, numpy.ones(0), numpy.ones(2))


class CramerVonMisesTest(compare.PeersTest):
    area = "two_sample"

    def test_agrees(self):
        for seed in compare.SEEDS:
            for n, m in SIZES[1:]:
                for ties in (False, True):
                    what = f"seed {seed}, {n} and {m}, ties {ties}"
                    a, b = pair(seed, n, m, ties)
                    theirs = scipy.stats.cramervonmises_2samp(a, b, method="asymptotic")
                    limit = ours.cramer_von_mises(a, b, "asymptotic", ties=False)
                    self.agree(limit[0], theirs.statistic, what)
                    self.differ("cvm_series", limit[1], theirs.pvalue, what)
                    if ties:
                        self.differ("cvm_ties", ours.cramer_von_mises(a, b, "asymptotic")[1], theirs.pvalue, what)
                    else:
                        self.agree(ours.cramer_von_mises(a, b, "asymptotic"), limit, what)

    def test_exact_agrees_when_ties_are_ignored(self):
        for seed in compare.SEEDS:
            for n, m in ((2, 2), (3, 2), (5, 5), (7, 4), (10, 10), (12, 11)):
                for ties in (False, True):
                    a, b = pair(seed, n, m, ties)
                    theirs = scipy.stats.cramervonmises_2samp(a, b, method="exact")
                    self.agree(ours.cramer_von_mises(a, b, ties=False), [theirs.statistic, theirs.pvalue], f"seed {seed}, {n} and {m}, ties {ties}")
                    if ties:
                        self.differ("cvm_ties", ours.cramer_von_mises(a, b)[1], theirs.pvalue, f"seed {seed}, {n} and {m}")

    def test_counting_ties_agrees_with_permutations(self):
        def statistic(x, y):
            # Anderson's T from the distribution functions; rounded, as equal ones come by several ways.
            values = numpy.concatenate([x, y])
            differences = (x[:, None] <= values).mean(axis=0) - (y[:, None] <= values).mean(axis=0)
            return round(x.size * y.size / values.size ** 2 * (differences ** 2).sum(), 10)
        for seed in range(6):
            a, b = pair(3 * seed, 6, 5, True)
            theirs = scipy.stats.permutation_test((a, b), statistic, n_resamples=numpy.inf, alternative="greater", vectorized=False).pvalue
            self.agree(ours.cramer_von_mises(a, b), [statistic(a, b), theirs], f"seed {seed}", tolerance=1e-9)


class AndersonDarlingTest(compare.PeersTest):
    area = "two_sample"

    def test_agrees(self):
        for seed in compare.SEEDS:
            for n, m in SIZES[1:]:
                for ties in (False, True):
                    what = f"seed {seed}, {n} and {m}, ties {ties}"
                    a, b = pair(seed, n, m, ties)
                    if numpy.unique(numpy.concatenate([a, b])).size == 1:
                        self.refused("not applicable", ours.anderson_darling, a, b)
                        continue
                    statistic, p, limit = ours.anderson_darling(a, b, ties=False)
                    theirs = scipy.stats.anderson_ksamp([a, b], variant="midrank")
                    self.agree(statistic, theirs.statistic, what)
                    self.agree(p, theirs.pvalue, what)
                    if 0.001 < theirs.pvalue < 0.25:
                        self.differ("ad_limit", limit, theirs.pvalue, what)
                    if ties:
                        self.differ("ad_ties", ours.anderson_darling(a, b)[0], theirs.statistic, what)
                    else:
                        self.agree(ours.anderson_darling(a, b), [statistic, p, limit], what)


class CountsTest(compare.PeersTest):
    area = "two_sample"

    def test_chi_square_agrees(self):
        for seed in compare.SEEDS:
            for categories in (2, 3, 12):
                for largest in (3, 40, 100_000):
                    a, b = counts(seed, categories, largest)
                    table = numpy.stack([a, b])[:, a + b > 0].astype(numpy.int64)
                    what = f"seed {seed}: {table}"
                    if table.shape[1] < 2:
                        self.refused("all counts are in one category", ours.chi_square, a, b)
                        continue
                    for ratio, lambda_ in ((False, "pearson"), (True, "log-likelihood")):
                        for continuity in (False, True):
                            theirs = scipy.stats.chi2_contingency(table, correction=continuity, lambda_=lambda_)
                            statistic, p, degrees, _ = ours.chi_square(a, b, ratio, continuity)
                            self.agree([statistic, p, degrees], [theirs.statistic, theirs.pvalue, theirs.dof], what)
                    self.agree(ours.chi_square(a, b)[3], scipy.stats.contingency.association(table, method="cramer"), what)

    def test_fisher_agrees(self):
        for seed in compare.SEEDS:
            for largest in (4, 30, 3_000, 100_000):
                a, b, c, d = (numpy.random.default_rng([seed, largest]).integers(1, largest, 4) - (largest == 4)).tolist()
                if min(a + b, c + d, a + c, b + d) == 0:
                    continue
                odds, p = ours.fisher_exact(a, b, c, d)
                theirs = scipy.stats.fisher_exact([[a, b], [c, d]])
                self.agree(odds, theirs.statistic, f"{a} {b} {c} {d}")
                self.agree(p, theirs.pvalue, f"{a} {b} {c} {d}")

    def test_the_test_of_proportions_is_chi_square_without_correction(self):
        for seed in compare.SEEDS:
            a, b = (part.astype(int).tolist() for part in counts(seed, 2, 500))
            theirs = scipy.stats.chi2_contingency([a, b], correction=False)
            difference, z, p, low, high = ours.compare_proportions(a[0], sum(a), b[0], sum(b))
            self.agree([z * z, p], [theirs.statistic, theirs.pvalue], f"{a}, {b}")
            # Newcombe's interval from scipy's intervals of the two rates.
            first, second = (scipy.stats.binomtest(one[0], sum(one)).proportion_ci(method="wilson") for one in (a, b))
            p1, p2 = a[0] / sum(a), b[0] / sum(b)
            self.agree(low, difference - math.hypot(p2 - second.low, first.high - p1), f"{a}, {b}")
            self.agree(high, difference + math.hypot(second.high - p2, p1 - first.low), f"{a}, {b}")


class DistancesTest(compare.PeersTest):
    area = "two_sample"

    def test_wasserstein_agrees(self):
        for seed in compare.SEEDS:
            for n, m in SIZES + [(40_000, 1_000)]:
                for ties in (False, True):
                    a, b = pair(seed, n, m, ties)
                    what = f"seed {seed}, {n} and {m}, ties {ties}"
                    theirs = scipy.stats.wasserstein_distance(a, b)
                    self.agree(ours.wasserstein(a, b), theirs, what)
                    a32, b32 = a.astype(numpy.float32), b.astype(numpy.float32)
                    self.agree(ours.wasserstein(a32, b32), scipy.stats.wasserstein_distance(a32.astype(float), b32.astype(float)), what)
                    if a.std() > 0:
                        self.agree(ours.wasserstein(a, b, scaled=True), theirs / a.std(), what)
                    else:
                        self.refused("not applicable", lambda x, y: ours.wasserstein(x, y, scaled=True), a, b)

    def test_histogram_distances_agree(self):
        for seed in compare.SEEDS:
            for bins in (2, 7, 100):
                for largest in (2, 50, 10_000):
                    a, b = counts(seed, bins, largest)
                    what = f"seed {seed}: {a} {b}"
                    p, q = a / a.sum(), b / b.sum()
                    for base in (2, math.e):
                        self.agree(ours.jensen_shannon(a, b, base), scipy.spatial.distance.jensenshannon(p, q, base), what, tolerance=2e-8)
                    self.agree(ours.hellinger(a, b), numpy.linalg.norm(numpy.sqrt(p) - numpy.sqrt(q)) / math.sqrt(2), what)


class CorrectionsTest(compare.PeersTest):
    area = "two_sample"

    def test_agree(self):
        for seed in compare.SEEDS:
            p = numpy.random.default_rng(seed).uniform(size=1 + 3 * seed) ** 3
            if seed % 3 == 0:
                p = numpy.round(p, 1)
            self.agree(ours.benjamini_hochberg(p), scipy.stats.false_discovery_control(p), f"seed {seed}")
            order = numpy.argsort(p, kind="stable")
            by_hand = numpy.empty(p.size)
            by_hand[order] = numpy.minimum(1, numpy.maximum.accumulate(p[order] * numpy.arange(p.size, 0, -1)))
            self.agree(ours.holm(p), by_hand, f"seed {seed}")


class ManyFeaturesTest(compare.PeersTest):
    area = "two_sample"

    def test_discrepancy_agrees_with_the_kernel_of_scikit_learn(self):
        for seed in compare.SEEDS:
            random = numpy.random.default_rng(seed)
            n, m, columns = random.integers(3, 60), random.integers(2, 60), random.integers(1, 9)
            a, b = random.normal(size=(n, columns)), random.normal(0.3, 1.2, size=(m, columns))
            bandwidth = numpy.median(scipy.spatial.distance.pdist(a, "sqeuclidean"))
            kernel = sklearn.metrics.pairwise.rbf_kernel(numpy.vstack([a, b]), gamma=1 / (2 * bandwidth))
            inside, outside, across = kernel[:n, :n], kernel[n:, n:], kernel[:n, n:]
            theirs = (inside.sum() - n) / (n * (n - 1)) + (outside.sum() - m) / (m * (m - 1)) - 2 * across.mean()
            self.agree(ours.maximum_mean_discrepancy(a, b), [theirs, bandwidth], f"seed {seed}, {n} and {m} x {columns}")

    def test_eigenvalues_agree_with_numpy(self):
        for seed in compare.SEEDS:
            random = numpy.random.default_rng(seed)
            size = int(random.integers(1, 50))
            matrix = random.normal(size=(size, size))
            matrix = matrix + matrix.T if seed % 2 else matrix @ matrix.T
            values, vectors = ours.eigen_of_symmetric(matrix)
            theirs_values, theirs_vectors = numpy.linalg.eigh(matrix)
            self.agree(values, theirs_values[::-1], f"seed {seed}, {size}", tolerance=1e-9 * max(1.0, numpy.abs(values).max()))
            self.agree(numpy.abs((vectors * theirs_vectors.T[::-1]).sum(axis=1)), numpy.ones(size), f"seed {seed}, {size}")

    def test_domain_classifier_sees_what_that_of_scikit_learn_sees(self):
        for seed in range(6):
            random = numpy.random.default_rng(seed)
            a, b = random.normal(size=(300, 4)), random.normal(size=(200, 4))
            if seed % 3 == 1:
                b += 0.5
            if seed % 3 == 2:
                b[:, 1] = numpy.copysign(b[:, 1], b[:, 0])
            rows, sides = numpy.vstack([a, b]), numpy.repeat([0, 1], [300, 200])
            forest = sklearn.ensemble.GradientBoostingClassifier(max_depth=3, n_estimators=50, random_state=seed)
            folds = sklearn.model_selection.StratifiedKFold(5, shuffle=True, random_state=seed)
            theirs = sklearn.model_selection.cross_val_score(forest, rows, sides, cv=folds, scoring="roc_auc").mean()
            self.differ("domain_classifier", ours.domain_classifier(a, b, seed)[0], theirs, f"seed {seed}")


if __name__ == "__main__":
    compare.main()
