"""Isotonic fits, ranking metrics, realized metrics, trees and label shift, beside scikit-learn and numpy."""

import numpy
import sklearn.calibration
import sklearn.isotonic
import sklearn.metrics
import sklearn.tree

import compare
from tidewheel_peers import estimation as ours

SIZES = [1, 2, 9, 60, 700]


def scored(seed, rows):
    """Labels and scores in 0 to 1; a third of the seeds has ties, a third next to no rows of class 1."""
    random = numpy.random.default_rng([seed, rows])
    labels = (random.random(rows) < (0.4, 0.5, 0.05)[seed % 3]).astype(numpy.int32)
    scores = numpy.clip(0.25 * labels + random.random(rows) * 0.75, 0, 1)
    if seed % 3 == 0:
        scores = numpy.round(scores * 8) / 8
    return labels, scores


class IsotonicTest(compare.PeersTest):
    area = "estimation"

    def test_agrees_with_scikit_learn(self):
        for seed in compare.SEEDS:
            for rows in SIZES:
                what = f"seed {seed}, {rows} rows"
                random = numpy.random.default_rng([seed, rows, 1])
                x = random.normal(size=rows)
                if seed % 2:
                    x = numpy.round(x * 3)
                y = random.normal(size=rows) + x * (seed % 4 - 1)
                weights = random.random(rows) * (random.random(rows) < 0.9) if seed % 5 == 0 and rows > 2 else numpy.ones(rows)
                at = numpy.concatenate([x, numpy.linspace(-6, 6, 50)])
                fit = sklearn.isotonic.IsotonicRegression(out_of_bounds="clip").fit(x, y, sample_weight=weights)
                self.agree(ours.isotonic(x, y, weights, at), fit.predict(at), what)

    def test_labels_in_a_score_of_few_values(self):
        for seed in compare.SEEDS:
            labels, scores = scored(seed, 400)
            at = numpy.linspace(0, 1, 101)
            fit = sklearn.isotonic.IsotonicRegression(out_of_bounds="clip").fit(scores, labels)
            theirs = fit.predict(at)
            self.agree(ours.isotonic(scores, labels.astype(float), numpy.ones(400), at), theirs, f"seed {seed}")

    def test_bad_input_has_a_name(self):
        one = numpy.ones(3)
        self.refused("row 1", ours.isotonic, one, numpy.array([1, numpy.nan, 1]), one, one)
        self.refused("a weight", ours.isotonic, one, one, -one, one)


class RankingTest(compare.PeersTest):
    area = "estimation"

    def test_areas_agree_with_scikit_learn(self):
        for seed in compare.SEEDS:
            for rows in SIZES:
                what = f"seed {seed}, {rows} rows"
                labels, scores = scored(seed, rows)
                if not labels.any():
                    self.refused("class 1", ours.average_precision, labels, scores)
                    continue
                self.agree(ours.average_precision(labels, scores), sklearn.metrics.average_precision_score(labels, scores), what)
                precision, recall, _ = sklearn.metrics.precision_recall_curve(labels, scores)
                self.agree(ours.precision_recall_auc(labels, scores), sklearn.metrics.auc(recall, precision), what)
                if labels.all():
                    self.refused("class 0", ours.roc_auc, labels, scores)
                    continue
                self.agree(ours.roc_auc(labels, scores), sklearn.metrics.roc_auc_score(labels, scores), what)

    def test_means_over_classes_agree_with_scikit_learn(self):
        for seed in compare.SEEDS:
            random = numpy.random.default_rng(seed)
            classes = 3 + seed % 4
            scores = random.dirichlet(numpy.ones(classes), 200)
            if seed % 2:
                scores = numpy.round(scores * 5) + 1
                scores /= scores.sum(axis=1, keepdims=True)
            labels = random.integers(0, classes, 200).astype(numpy.int32)
            labels[:classes] = numpy.arange(classes)
            what = f"seed {seed}"
            self.agree(ours.macro_roc_auc(labels, scores), sklearn.metrics.roc_auc_score(labels, scores, multi_class="ovr"), what)
            self.agree(ours.macro_average_precision(labels, scores), sklearn.metrics.average_precision_score(labels, scores), what)


class CalibrationErrorTest(compare.PeersTest):
    area = "estimation"

    def test_agrees_with_equal_bins_by_hand(self):
        for seed in compare.SEEDS:
            for rows in (10, 200, 1000):
                labels, scores = scored(3 * seed + 1, rows)  # No ties.
                order = numpy.argsort(scores)
                gaps = [abs(numpy.sum(scores[part] - labels[part])) for part in numpy.array_split(order, 10)]
                self.agree(ours.calibration_error(labels, scores, 10), sum(gaps) / rows, f"seed {seed}, {rows} rows")

    def test_differs_from_quantile_bins_where_rows_do_not_divide(self):
        for seed in compare.SEEDS:
            labels, scores = scored(3 * seed + 1, 1003)
            share, mean = sklearn.calibration.calibration_curve(labels, scores, n_bins=10, strategy="quantile")
            edges = numpy.percentile(scores, numpy.linspace(0, 100, 11))
            weights = numpy.histogram(scores, edges)[0] / 1003
            theirs = numpy.sum(weights * numpy.abs(share - mean))
            self.differ("calibration_error_quantile_bins", ours.calibration_error(labels, scores, 10), theirs, f"seed {seed}")


class MetricsTest(compare.PeersTest):
    area = "estimation"

    def test_realized_agree_with_scikit_learn(self):
        for seed in compare.SEEDS:
            for rows in SIZES:
                what = f"seed {seed}, {rows} rows"
                labels, scores = scored(seed, rows)
                predicted = (scores >= 0.5).astype(numpy.int32)
                realized = ours.realized(scores, predicted, labels)
                self.agree(realized["accuracy"], sklearn.metrics.accuracy_score(labels, predicted), what)
                for name, theirs, applies in (
                    ("precision", sklearn.metrics.precision_score(labels, predicted, zero_division=numpy.nan), predicted.any()),
                    ("recall", sklearn.metrics.recall_score(labels, predicted, zero_division=numpy.nan), labels.any()),
                    ("specificity", sklearn.metrics.recall_score(1 - labels, 1 - predicted, zero_division=numpy.nan), not labels.all()),
                    ("f1", sklearn.metrics.f1_score(labels, predicted, zero_division=numpy.nan), labels.any() or predicted.any()),
                ):
                    if applies:
                        self.agree(realized[name], theirs, f"{name}, {what}")
                    else:
                        self.assertIsNone(realized[name], f"{name}, {what}")

    def test_expected_agree_with_scikit_learn_weighing_each_row_twice(self):
        """A row of probability p is one of class 1 that weighs p and one of class 0 that weighs 1 - p."""
        for seed in compare.SEEDS:
            for rows in (2, 9, 60, 700):
                what = f"seed {seed}, {rows} rows"
                random = numpy.random.default_rng([seed, rows, 2])
                probabilities = random.random(rows)
                scores = numpy.round(random.random(rows) * 10) if seed % 2 else random.random(rows)
                predicted = random.integers(0, 2, rows).astype(numpy.int32)
                predicted[:2] = 0, 1
                expected = ours.expected(scores, predicted, probabilities)
                both = numpy.repeat([1, 0], rows)
                weights = numpy.concatenate([probabilities, 1 - probabilities])
                twice = numpy.tile(scores, 2)
                self.agree(expected["roc_auc"], sklearn.metrics.roc_auc_score(both, twice, sample_weight=weights), what)
                self.agree(expected["average_precision"], sklearn.metrics.average_precision_score(both, twice, sample_weight=weights), what)
                for name in ("accuracy", "precision", "recall", "f1"):
                    metric = getattr(sklearn.metrics, f"{name}_score")
                    self.agree(expected[name], metric(both, numpy.tile(predicted, 2), sample_weight=weights), f"{name}, {what}")

    def test_regression_errors_agree_with_scikit_learn(self):
        for seed in compare.SEEDS:
            for rows in SIZES:
                random = numpy.random.default_rng([seed, rows, 3])
                targets, predictions = random.gamma(2, 3, rows) + 0.1, random.gamma(2, 3, rows)
                errors = ours.regression_errors(predictions, targets)
                for name, value in errors.items():
                    metric = getattr(sklearn.metrics, name)
                    self.agree(value, metric(targets, predictions), f"{name}, seed {seed}, {rows} rows")


class TreesTest(compare.PeersTest):
    area = "estimation"

    def test_one_tree_agrees_with_scikit_learn(self):
        for seed in compare.SEEDS:
            random = numpy.random.default_rng(seed)
            rows, columns = int(random.integers(50, 400)), 1 + seed % 5
            features = random.normal(size=(rows, columns))
            targets = numpy.sin(features[:, 0]) + features[:, -1] ** 2 + random.normal(size=rows)
            for depth in (1, 3):
                theirs = sklearn.tree.DecisionTreeRegressor(max_depth=depth, min_samples_leaf=10, random_state=0).fit(features, targets)
                self.agree(ours.one_tree(features, targets, depth, 10), theirs.predict(features), f"seed {seed}, depth {depth}")


class LabelShiftTest(compare.PeersTest):
    area = "estimation"

    def test_weights_agree_with_numpy_solving_the_equation(self):
        for seed in compare.SEEDS:
            random = numpy.random.default_rng(seed)
            classes = 2 + seed % 6
            confusion = random.integers(1, 20, (classes, classes)).astype(numpy.uint64) + numpy.diag(random.integers(100, 300, classes)).astype(numpy.uint64)
            chance = (confusion / confusion.sum(axis=1, keepdims=True)).T
            shares = random.dirichlet(numpy.full(classes, 5.0))
            predicted = numpy.round(1e9 * chance @ shares).astype(numpy.uint64)
            solved = numpy.linalg.solve(chance, predicted / predicted.sum())
            solved = numpy.maximum(solved, 0) / numpy.maximum(solved, 0).sum()
            weights, ours_shares, condition = ours.label_shift(confusion, predicted)
            self.agree(ours_shares, solved, f"seed {seed}")
            self.agree(weights, solved / (confusion.sum(axis=1) / confusion.sum()), f"seed {seed}")
            self.agree(condition, numpy.linalg.cond(chance, 1), f"seed {seed}")


if __name__ == "__main__":
    compare.main()
