"""Reports on classifiers, class weights, McNemar and Wilson, beside scikit-learn and scipy. The worked example of README.md."""

import numpy
import scipy.stats
import sklearn.metrics
import sklearn.utils.class_weight

import compare
from tidewheel_peers import classification as ours

SHAPES = [(1, 2), (7, 2), (60, 3), (400, 10), (3, 12)]


def sample(seed, rows, classes):
    """Labels and float32 rows that sum to 1; a third of the seeds has ties, a third never has the last class."""
    random = numpy.random.default_rng([seed, rows, classes])
    probabilities = random.dirichlet(numpy.full(classes, 0.7), rows)
    if seed % 3 == 0:
        probabilities = numpy.round(probabilities * 4) + 1
        probabilities /= probabilities.sum(axis=1, keepdims=True)
    labels = random.integers(0, classes - (seed % 3 == 1 and classes > 2), rows).astype(numpy.uint32)
    return labels, probabilities.astype(numpy.float32)


class ReportTest(compare.PeersTest):
    area = "classification"

    def test_agrees_with_scikit_learn(self):
        for seed in compare.SEEDS:
            for rows, classes in SHAPES:
                what = f"seed {seed}, {rows} x {classes}"
                labels, probabilities = sample(seed, rows, classes)
                predicted = probabilities.argmax(axis=1)
                report = ours.report(labels, probabilities)
                known = list(range(classes))

                self.agree(report["confusion"], sklearn.metrics.confusion_matrix(labels, predicted, labels=known), what)
                self.agree(report["accuracy"], sklearn.metrics.accuracy_score(labels, predicted), what)
                precision, recall, f1, _ = sklearn.metrics.precision_recall_fscore_support(labels, predicted, labels=known, zero_division=0)
                self.agree(report["precision"], precision, what)
                self.agree(report["recall"], recall, what)
                self.agree(report["f1"], f1, what)
                seen = sorted(set(labels) | set(predicted))
                self.agree(report["macro_f1"], sklearn.metrics.f1_score(labels, predicted, labels=seen, average="macro", zero_division=0), what)
                self.agree(report["balanced_accuracy"], sklearn.metrics.balanced_accuracy_score(labels, predicted), what)
                self.agree(report["matthews"], sklearn.metrics.matthews_corrcoef(labels, predicted), what)

    def test_log_loss_agrees_in_double_and_differs_in_float(self):
        for seed in compare.SEEDS:
            for rows, classes in SHAPES:
                what = f"seed {seed}, {rows} x {classes}"
                labels, probabilities = sample(seed, rows, classes)
                loss = ours.report(labels, probabilities)["log_loss"]
                known = list(range(classes))
                self.agree(loss, sklearn.metrics.log_loss(labels, probabilities.astype(numpy.float64), labels=known), what)
                self.differ("log_loss_float32", loss, sklearn.metrics.log_loss(labels, probabilities, labels=known), what)

    def test_bad_input_has_a_name(self):
        labels, probabilities = sample(2, 7, 3)
        probabilities[4, 1] = numpy.nan
        self.refused("row 4", ours.report, labels, probabilities)


class WeightsTest(compare.PeersTest):
    area = "classification"

    def test_inverse_frequency_agrees_with_scikit_learn(self):
        for seed in compare.SEEDS:
            counts = numpy.random.default_rng(seed).integers(1, 1000, 2 + seed % 9).astype(numpy.uint64)
            labels = numpy.repeat(numpy.arange(counts.size), counts.astype(numpy.int64))
            theirs = sklearn.utils.class_weight.compute_class_weight("balanced", classes=numpy.arange(counts.size), y=labels)
            self.agree(ours.inverse_frequency_weights(counts), theirs, f"seed {seed}")


class McNemarTest(compare.PeersTest):
    area = "classification"

    def test_exact_form_agrees_with_the_binomial_test(self):
        for first in range(25):
            for second in range(25 - first):
                theirs = scipy.stats.binomtest(first, first + second).pvalue if first + second else 1.0
                self.agree(ours.mcnemar(first, second)[0], theirs, f"{first}, {second}")

    def test_large_form_agrees_with_the_chi_square_distribution(self):
        for seed in compare.SEEDS:
            first, second = numpy.random.default_rng(seed).integers(13, 5000, 2).tolist()
            statistic = (abs(first - second) - 1) ** 2 / (first + second)
            self.agree(ours.mcnemar(first, second)[0], scipy.stats.chi2.sf(statistic, 1), f"{first}, {second}")


class WilsonTest(compare.PeersTest):
    area = "classification"

    def test_agrees_with_scipy(self):
        for seed in compare.SEEDS:
            random = numpy.random.default_rng(seed)
            trials = int(random.integers(1, 10 ** (1 + seed % 6)))
            successes = int(random.integers(0, trials + 1))
            for confidence in (0.5, 0.9, 0.95, 0.999):
                theirs = scipy.stats.binomtest(successes, trials).proportion_ci(confidence, method="wilson")
                self.agree(ours.wilson(successes, trials, confidence), theirs, f"{successes} of {trials} at {confidence}")


if __name__ == "__main__":
    compare.main()
