"""Stream detectors beside river, and the tails and intervals behind them beside scipy. CUSUM and the EWMA chart have no peer here."""

import numpy
import river.drift
import river.drift.binary
import scipy.stats

import compare
from tidewheel_peers import streams as ours

STABLE, WARNING, DRIFT = 0, 1, 2


def errors(seed, size, *rates):
    """0 and 1, with the rates one after another."""
    random = numpy.random.default_rng([seed, size, len(rates)])
    return numpy.concatenate([random.random(size) < rate for rate in rates]).astype(numpy.float64)


def numbers(seed, size, *means):
    random = numpy.random.default_rng([seed, size, len(means), 1])
    return numpy.concatenate([random.normal(mean, 1, size) for mean in means])


def error_streams(seed):
    """Rising, falling, short, without errors, of errors alone."""
    yield "rising", errors(seed, 1500, 0.2, 0.5)
    yield "falling and rising", errors(seed, 700, 0.6, 0.1, 0.8)
    yield "rare", errors(seed, 2000, 0.01, 0.05)
    yield "short", errors(seed, 3 + seed, 0.5)
    yield "none", numpy.zeros(200)
    yield "one after none", numpy.repeat([0.0, 1.0, 0.0], [150, 1, 50])
    yield "all", numpy.ones(200)


def number_streams(seed):
    yield "steps", numbers(seed, 800, 0, 1, -1)
    yield "ramp", numbers(seed, 1500, 0) + numpy.linspace(0, 3, 1500)
    yield "short", numbers(seed, 5 + seed, 0)
    yield "constant", numpy.full(300, 4.5)
    yield "ties", numpy.round(numbers(seed, 500, 0, 2))
    yield "far from zero", numbers(seed, 600, 1e5, 1e5 + 2)


def states(detector, values, kind=float):
    """One a value, as river tells them."""
    found = []
    for value in values:
        detector.update(kind(value))
        warned = getattr(detector, "warning_detected", False)
        found.append(DRIFT if detector.drift_detected else WARNING if warned else STABLE)
    return numpy.array(found)


class AdwinTest(compare.PeersTest):
    area = "streams"

    def test_agrees_with_river(self):
        for seed in compare.SEEDS:
            settings = {"delta": [0.002, 0.05, 0.3][seed % 3], "max_buckets": [5, 2, 8][seed // 3 % 3], "grace": [10, 40][seed % 2]}
            for name, values in [*error_streams(seed), *number_streams(seed)]:
                what = f"seed {seed}, {name}"
                every, side = (32, 5) if seed < 12 else (1 + seed % 7, 1 + seed % 9)
                mine = ours.adwin(values, check_every=every, min_side=side, **settings)
                peer = river.drift.ADWIN(clock=every, min_window_length=side, grace_period=settings["grace"], max_buckets=settings["max_buckets"],
                                         delta=settings["delta"])
                self.agree(mine["states"], states(peer, values), what)
                self.agree(mine["width"], peer.width, what)
                self.agree(mine["mean"], peer.estimation, what)


class ErrorRateTest(compare.PeersTest):
    area = "streams"

    def test_ddm_agrees_with_river(self):
        for seed in compare.SEEDS:
            warning = [2.0, 1.5, 2.9][seed % 3]
            for name, values in error_streams(seed):
                peer = river.drift.binary.DDM(warm_start=30 - seed, warning_threshold=warning)
                self.agree(ours.ddm(values, warm_up=30 - seed, warning=warning), states(peer, values, bool), f"seed {seed}, {name}")

    def test_eddm_alarms_where_river_does_and_ends_warnings_earlier(self):
        for seed in compare.SEEDS:
            for name, values in error_streams(seed):
                what = f"seed {seed}, {name}"
                mine, theirs = ours.eddm(values), states(river.drift.binary.EDDM(), values, bool)
                self.agree(mine == DRIFT, theirs == DRIFT, what)
                self.differ_by("eddm_warning", numpy.mean(mine != theirs), what)
                self.assertTrue(numpy.all(theirs[mine == WARNING] == WARNING), what)

    def test_hddm_agrees_with_river(self):
        for seed in compare.SEEDS:
            both = seed % 2 == 1
            sides = "both" if both else "up"
            for name, values in error_streams(seed):
                what = f"seed {seed}, {name}, {sides}"
                peer = river.drift.binary.HDDMA(two_sided_test=both)
                self.agree(ours.hddm_a(values, sides=sides), states(peer, values, bool), what)
                weight = [0.05, 0.01, 0.2][seed % 3]
                peer = river.drift.binary.HDDMW(lambda_val=weight, two_sided_test=both)
                self.agree(ours.hddm_w(values, weight=weight, sides=sides), states(peer, values, bool), what)

    def test_what_is_no_error_is_refused(self):
        self.refused("outside [0, 1]", ours.ddm, numpy.array([0.0, 1.5]))
        self.refused("neither 0 nor 1", ours.eddm, numpy.array([0.5]))
        self.refused("not a number", ours.hddm_a, numpy.array([numpy.nan]))


class PageHinkleyTest(compare.PeersTest):
    area = "streams"

    def test_agrees_with_river(self):
        for seed in compare.SEEDS:
            sides = ["both", "up", "down"][seed % 3]
            threshold = [50, 10, 200][seed // 3 % 3]
            for name, values in [*error_streams(seed), *number_streams(seed)]:
                peer = river.drift.PageHinkley(threshold=threshold, mode=sides)
                self.agree(ours.page_hinkley(values, threshold=threshold, sides=sides), states(peer, values), f"seed {seed}, {name}, {sides}")


class KswinTest(compare.PeersTest):
    area = "streams"

    def test_tail_agrees_with_scipy(self):
        for size in (2, 5, 30, 100, 500):
            for distance in {1, 2, size // 4, size // 2, size - 1, size} - {0}:
                # Interleaved so that the statistic is distance / size: no ties, the exact method.
                first = numpy.arange(size) * 2.0
                second = first + 2 * distance - 1
                theirs = scipy.stats.ks_2samp(first, second, method="exact")
                self.assertEqual(round(theirs.statistic * size), distance)
                self.agree(ours.kolmogorov_smirnov_tail(distance, size), theirs.pvalue, f"{distance} of {size}")

    def test_a_window_of_twice_the_newest_leaves_nothing_to_chance(self):
        for seed in compare.SEEDS:
            what = f"seed {seed}"
            recent = 12 + seed
            values = numbers(seed, 4 * recent, 0, 4, -4)
            mine, p_values = ours.kswin(values, alpha=1e-5, window=2 * recent, recent=recent)
            peer = river.drift.KSWIN(alpha=1e-5, window_size=2 * recent, stat_size=recent, seed=seed)
            first = int(numpy.argmax(mine == DRIFT))
            self.assertEqual(mine[first], DRIFT, what)
            theirs = []
            for value in values[:first + 1]:
                peer.update(value)
                theirs.append(peer.p_value if len(theirs) >= 2 * recent - 1 else 1.0)
            self.assertTrue(peer.drift_detected, what)
            self.agree(p_values[:first + 1], theirs, what)

            # What each still knows: ours tests again after `recent` values, river after 2 recent.
            after = numpy.repeat([100.0, -100.0], recent) + values[:2 * recent]
            mine, _ = ours.kswin(numpy.concatenate([values[:first + 1], after]), alpha=1e-5, window=2 * recent, recent=recent)
            again = states(peer, after)
            self.assertEqual(again[-1], DRIFT, what)
            self.differ_by("kswin_after_drift", int(numpy.argmax(again == DRIFT)) - int(numpy.argmax(mine[first + 1:] == DRIFT)), what)

    def test_a_draw_changes_when_a_step_is_seen_by_little(self):
        for seed in compare.SEEDS:
            values = numbers(seed, 150, 0, 3)
            mine, _ = ours.kswin(values, alpha=1e-7, seed=seed)
            peer = states(river.drift.KSWIN(alpha=1e-7, seed=seed), values)
            first = [int(numpy.argmax(found == DRIFT)) for found in (mine, peer)]
            self.assertTrue(150 <= min(first) and max(first) < 180, f"seed {seed}: {first}")
            self.differ_by("kswin_draw", abs(first[0] - first[1]), f"seed {seed}")


class FalseAlarmsTest(compare.PeersTest):
    area = "streams"

    def test_interval_is_that_of_gamma_quantiles(self):
        for seed in compare.SEEDS:
            detector = ["ewma", "eddm", "adwin", "hddm_w"][seed % 4]
            confidence = [0.95, 0.8, 0.99][seed % 3]
            rate = ours.false_alarms(errors(seed, 500, 0.2), detector, 400 + 50 * seed, confidence, seed)
            count = rate["alarms"] / rate["dispersion"]
            scale = rate["dispersion"] / rate["budgets"]
            tail = (1 - confidence) / 2
            low = scipy.stats.gamma.ppf(tail, count) * scale if count else 0.0
            high = scipy.stats.gamma.ppf(1 - tail, count + 1) * scale
            self.agree([rate["low"], rate["high"]], [low, high], f"seed {seed}, {detector}")


if __name__ == "__main__":
    compare.main()
