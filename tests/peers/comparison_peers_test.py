"""Comparisons of two models, beside the definitions in numpy and scipy: no peer has them ready."""

import numpy
import scipy.optimize
import scipy.special
import scipy.stats
import sklearn.metrics

import compare
from tidewheel_peers import comparison as ours


def answers(seed, rows):
    """Labels and two scores that share most of their noise; every other seed has ties."""
    random = numpy.random.default_rng([seed, rows])
    labels = (random.random(rows) < 0.4).astype(numpy.int32)
    labels[:4] = 0, 1, 0, 1
    shared = random.normal(size=rows)
    scores = [gain * labels + shared + 0.5 * random.normal(size=rows) for gain in (1.0, 1.4)]
    if seed % 2:
        scores = [numpy.round(score * 2) / 2 for score in scores]
    return labels, *scores


class AreasTest(compare.PeersTest):
    area = "comparison"

    def test_areas_agree_with_scikit_learn_and_their_variance_with_all_pairs(self):
        for seed in compare.SEEDS:
            for rows in (6, 40, 600):
                what = f"seed {seed}, {rows} rows"
                labels, *scores = answers(seed, rows)
                areas = [sklearn.metrics.roc_auc_score(labels, score) for score in scores]
                # DeLong, DeLong, Clarke-Pearson (1988), from the table of all pairs.
                wins = [(score[labels == 1][:, None] > score[labels == 0]) + 0.5 * (score[labels == 1][:, None] == score[labels == 0]) for score in scores]
                by_one = numpy.cov([table.mean(axis=1) for table in wins])
                by_zero = numpy.cov([table.mean(axis=0) for table in wins])
                covariance = by_one / (labels == 1).sum() + by_zero / (labels == 0).sum()
                variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
                if not variance > 1e-12:
                    continue  # The same placements, or none that vary: ours answers without dividing.
                z = (areas[1] - areas[0]) / numpy.sqrt(variance)
                compared = ours.areas(labels, *scores)
                self.agree([compared["baseline"], compared["candidate"]], areas, what)
                self.agree(compared["z"], z, what)
                self.agree(compared["p_value"], 2 * scipy.stats.norm.sf(abs(z)), what)
                half = scipy.stats.norm.ppf(0.975) * numpy.sqrt(variance)
                self.agree(compared["interval"], numpy.clip([areas[1] - areas[0] - half, areas[1] - areas[0] + half], -1, 1), what)

    def test_bad_input_has_a_name(self):
        labels, first, second = answers(2, 40)
        first[7] = numpy.nan
        self.refused("row 7: the score of the baseline", ours.areas, labels, first, second)
        self.refused("2 rows of each class", ours.areas, numpy.zeros(40, numpy.int32), second, second)


class PairedDifferenceTest(compare.PeersTest):
    area = "comparison"

    def test_agrees_with_scipy_s_wilson_intervals_joined(self):
        """Newcombe (1998), method 10."""
        for seed in compare.SEEDS:
            random = numpy.random.default_rng(seed)
            for most in (3, 30, 3000):
                both, baseline, candidate, neither = (int(count) for count in random.integers(0, most, 4))
                total = both + baseline + candidate + neither
                if total == 0:
                    continue
                for confidence in (0.8, 0.95):
                    (low1, high1), (low2, high2) = (
                        scipy.stats.binomtest(both + only, total).proportion_ci(confidence, method="wilson") for only in (candidate, baseline)
                    )
                    rate1, rate2 = (both + candidate) / total, (both + baseline) / total
                    spread = (both + candidate) * (baseline + neither) * (both + baseline) * (candidate + neither)
                    product = both * neither - baseline * candidate
                    phi = (product if product < 0 else max(0, product - total / 2)) / spread**0.5 if spread else 0
                    below = ((rate1 - low1) ** 2 - 2 * phi * (rate1 - low1) * (high2 - rate2) + (high2 - rate2) ** 2) ** 0.5
                    above = ((high1 - rate1) ** 2 - 2 * phi * (high1 - rate1) * (rate2 - low2) + (rate2 - low2) ** 2) ** 0.5
                    theirs = numpy.clip([rate1 - rate2 - below, rate1 - rate2 + above], -1, 1)
                    what = f"{both} {baseline} {candidate} {neither} at {confidence}"
                    self.agree(ours.paired_difference_interval(both, baseline, candidate, neither, confidence), theirs, what)


class BootstrapTest(compare.PeersTest):
    area = "comparison"

    def test_differs_from_scipy_s_only_by_chance(self):
        for seed in compare.SEEDS:
            random = numpy.random.default_rng(seed)
            first = random.normal(size=300)
            second = first + 0.1 + 0.3 * random.normal(size=300)
            theirs = scipy.stats.bootstrap(
                (first, second), lambda a, b, axis=-1: b.mean(axis=axis) - a.mean(axis=axis), paired=True, method="percentile",
                n_resamples=2000, random_state=seed, vectorized=True,
            )
            low, high = ours.bootstrap_of_means(first, second, 2000)
            ends = theirs.confidence_interval
            width = ends.high - ends.low
            self.differ_by("bootstrap_resamples", max(abs(low - ends.low), abs(high - ends.high)) / width, f"seed {seed}")


class SequentialTest(compare.PeersTest):
    area = "comparison"

    def test_agrees_with_the_mixture_in_numpy(self):
        shares = 0.95 / 2 ** (numpy.arange(20) / 2)
        for seed in compare.SEEDS:
            random = numpy.random.default_rng(seed)
            alike, worse, better = (int(count) for count in random.integers(0, (5000, 200, 200)))
            alpha = (0.05, 0.01)[seed % 2]

            def evidence(mean, sign):
                """That the mean of sign * (candidate less baseline) is above `mean`; a logarithm."""
                steps = [numpy.log1p(shares * (x - mean) / (1 + mean)) for x in (-sign, 0, sign)]
                capital = worse * steps[0] + alike * steps[1] + better * steps[2]
                return scipy.special.logsumexp(capital) - numpy.log(20)

            enough = numpy.log(2 / alpha)
            mean = (better - worse) / (alike + worse + better)
            low = scipy.optimize.brentq(lambda m: evidence(m, 1) - enough, -1 + 1e-12, mean, xtol=1e-14)
            high = -scipy.optimize.brentq(lambda m: evidence(m, -1) - enough, -1 + 1e-12, -mean, xtol=1e-14)
            look = ours.look(alike, worse, better, alpha)
            what = f"{alike} alike, {worse} worse, {better} better"
            self.agree(look["interval"], [low, high], what)
            self.agree(look["p_value"], min(1, 2 * numpy.exp(-max(0, evidence(0, 1), evidence(0, -1)))), what)


if __name__ == "__main__":
    compare.main()
