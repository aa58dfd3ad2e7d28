#!/usr/bin/env python3
"""Confident learning beside cleanlab's."""

import contextlib
import unittest.mock
import warnings

import numpy
from cleanlab.count import compute_confident_joint, estimate_joint, estimate_latent, get_confident_thresholds
from cleanlab.experimental.label_issues_batched import LabelInspector
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores, order_label_issues

import compare
from tidewheel_peers import label_errors as ours

PRUNING = ("prune_by_noise_rate", "prune_by_class", "both")
OTHERS = ("confident_learning", "predicted_neq_given", "low_normalized_margin", "low_self_confidence")
SCORES = ("self_confidence", "normalized_margin", "confidence_weighted_entropy")

argsort = numpy.argsort


@contextlib.contextmanager
def stable_sorts():
    """Equal values keep their order, which numpy's default leaves to the processor."""
    with unittest.mock.patch("numpy.argsort", lambda values, *arguments, **named: argsort(values, *arguments, **(named | {"kind": "stable"}))):
        yield


def made(seed, rows, classes, noise=0.2, model_noise=0.1, least=0.2, empty=0, steps=0, uneven=False):
    """Labels and probabilities; with `steps` these are whole numbers of 1/steps, so that many are equal; `uneven`: the model is mostly sure
    of odd classes, and never of even ones."""
    random = numpy.random.default_rng(seed)
    used = classes - empty
    truth = numpy.concatenate([numpy.arange(used), random.integers(used, size=rows - used)])
    given = numpy.where((random.random(rows) < noise) & (numpy.arange(rows) >= used), random.integers(used, size=rows), truth)
    answer = numpy.where(random.random(rows) < model_noise, random.integers(classes, size=rows), truth)
    top = least + (1 - least) * random.random(rows)
    if uneven:
        top = numpy.where((answer % 2 == 1) & (random.random(rows) < 0.8), 0.9 + 0.1 * top, 0.1 * top)
    rest = random.exponential(size=(rows, classes))
    probabilities = rest / rest.sum(axis=1, keepdims=True) * (1 - top)[:, None]
    probabilities[numpy.arange(rows), answer] += top
    if steps:
        whole = numpy.floor(probabilities * steps)
        whole[numpy.arange(rows), answer] += steps - whole.sum(axis=1)
        probabilities = whole / steps
    return given.astype(numpy.int32), probabilities


SHAPES = [
    {"rows": 300, "classes": 2},
    {"rows": 200, "classes": 3, "noise": 0.5, "least": 0.0},
    {"rows": 1000, "classes": 10},
    {"rows": 600, "classes": 16, "model_noise": 0.02, "least": 0.7},
    {"rows": 500, "classes": 17, "empty": 4},
    {"rows": 900, "classes": 40, "noise": 0.4, "least": 0.1},
    {"rows": 260, "classes": 64, "empty": 20},
    {"rows": 500, "classes": 6, "uneven": True},
    {"rows": 700, "classes": 25, "uneven": True},
]


def inputs():
    for seed in compare.SEEDS:
        for number, shape in enumerate(SHAPES):
            yield f"seed {seed}, {shape}", *made(1000 * number + seed, **shape)


def rows_of(mask):
    return numpy.flatnonzero(mask).astype(numpy.uint32)


class LabelErrorsTest(compare.PeersTest):
    area = "label_errors"

    def test_thresholds_and_joint(self):
        for what, labels, probabilities in inputs():
            told = ours.joint(probabilities, labels, votes="largest_of_all")
            self.agree(told["thresholds"], get_confident_thresholds(labels, probabilities), what)
            # Counts are whole numbers: equal to the last.
            numpy.testing.assert_array_equal(told["confident"], compute_confident_joint(labels, probabilities, calibrate=False), what)
            with stable_sorts():
                calibrated = compute_confident_joint(labels, probabilities)
                joint = estimate_joint(labels, probabilities)
            numpy.testing.assert_array_equal(told["calibrated"], calibrated, what)
            self.agree(ours.noise(probabilities, labels, votes="largest_of_all")["joint"], joint, what)

    def test_calibration_as_numpy_sorts(self):
        for what, labels, probabilities in inputs():
            told = ours.joint(probabilities, labels, votes="largest_of_all")
            theirs = compute_confident_joint(labels, probabilities)
            numpy.testing.assert_array_equal(told["calibrated"].sum(axis=1), theirs.sum(axis=1), what)
            self.differ_by("rounding_ties", numpy.abs(told["calibrated"].astype(int) - theirs).max(), what)

    def test_streams_in_two_passes(self):
        for what, labels, probabilities in inputs():
            told = ours.two_passes(probabilities, labels, votes="largest_of_all")
            with stable_sorts():
                joint, suspected = compute_confident_joint(labels, probabilities, return_indices_of_off_diagonals=True)
            numpy.testing.assert_array_equal(told["calibrated"], joint, what)
            mask = numpy.zeros(len(labels), dtype=bool)
            mask[suspected] = True
            found = find_label_issues(labels, probabilities, filter_by="confident_learning", n_jobs=1)
            numpy.testing.assert_array_equal(told["suspected"], rows_of(found), what)
            inspector = LabelInspector(num_class=probabilities.shape[1], verbose=False)
            for begin in range(0, len(labels), 50):
                inspector.update_confident_thresholds(labels[begin:begin + 50], probabilities[begin:begin + 50])
            present = numpy.bincount(labels, minlength=probabilities.shape[1]) > 0
            self.differ("batched_thresholds", told["thresholds"][present], inspector.confident_thresholds[present], what)

    def test_issues_of_every_method(self):
        for what, labels, probabilities in inputs():
            for method in OTHERS:
                with stable_sorts():
                    theirs = rows_of(find_label_issues(labels, probabilities, filter_by=method, n_jobs=1))
                rows, _ = ours.issues(probabilities, labels, method, keep_per_class=0, votes="largest_of_all")
                numpy.testing.assert_array_equal(rows, theirs, f"{what}, {method}")
            for method in PRUNING:
                for keep in (1, 5):
                    with stable_sorts(), warnings.catch_warnings():
                        warnings.simplefilter("ignore")
                        theirs = rows_of(find_label_issues(labels, probabilities, filter_by=method, min_examples_per_class=keep, n_jobs=1))
                    rows, spared = ours.issues(probabilities, labels, method, keep_per_class=keep, votes="largest_of_all")
                    if spared == 0:
                        numpy.testing.assert_array_equal(rows, theirs, f"{what}, {method}, keep {keep}")
                    else:
                        self.assertTrue(set(rows) <= set(theirs), f"{what}, {method}, keep {keep}")
                        self.assertEqual(len(rows) + spared, len(theirs))

    def test_classes_keep_their_examples(self):
        for seed in compare.SEEDS:
            labels, probabilities = made(seed, rows=200, classes=12, noise=0.5, model_noise=0.05, least=0.5)
            # Of ten examples given class 0 nine are of others, most of one: cleanlab lowers each cell by as much, but not below none.
            labels[labels == 0] = 3
            labels[numpy.flatnonzero(probabilities.argmax(axis=1) == 1)[:8]] = 0
            labels[numpy.flatnonzero(probabilities.argmax(axis=1) == 2)[:1]] = 0
            labels[numpy.flatnonzero(probabilities.argmax(axis=1) == 0)[:1]] = 0
            counts = numpy.bincount(labels, minlength=12)
            for method in OTHERS + PRUNING:
                rows, _ = ours.issues(probabilities, labels, method, keep_per_class=5, votes="largest_of_all")
                left = counts - numpy.bincount(labels[rows], minlength=12)
                self.assertTrue((left >= numpy.minimum(counts, 5)).all(), method)
                with stable_sorts(), warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    theirs = find_label_issues(labels, probabilities, filter_by=method, min_examples_per_class=5, n_jobs=1)
                left = counts - numpy.bincount(labels[theirs], minlength=12)
                short = (numpy.minimum(counts, 5) - left).clip(min=0).max()
                self.differ_by("kept_when_pruning" if method in PRUNING else "kept_otherwise", short, f"seed {seed}, {method}")

    def test_votes_of_the_paper(self):
        for what, labels, probabilities in inputs():
            paper = ours.joint(probabilities, labels)["confident"].astype(int)
            theirs = compute_confident_joint(labels, probabilities, calibrate=False)
            self.differ_by("vote_rule", numpy.abs(paper - theirs).sum() / 2 / len(labels), what)
            # The definition, as directly as can be.
            thresholds = get_confident_thresholds(labels, probabilities)
            confident = probabilities >= thresholds - 1e-6
            votes = numpy.where(confident, probabilities, -1).argmax(axis=1)
            naive = numpy.zeros_like(theirs)
            numpy.add.at(naive, (labels[confident.any(axis=1)], votes[confident.any(axis=1)]), 1)
            numpy.fill_diagonal(naive, naive.diagonal().clip(min=1))
            numpy.testing.assert_array_equal(paper, naive, what)

    def test_ties(self):
        for seed in compare.SEEDS:
            for classes, steps in ((3, 4), (10, 8), (20, 5)):
                what = f"seed {seed}, {classes} classes, steps {steps}"
                labels, probabilities = made(seed, rows=400, classes=classes, noise=0.3, steps=steps)
                given = probabilities[numpy.arange(len(labels)), labels]
                told = ours.joint(probabilities, labels, votes="largest_of_all")
                numpy.testing.assert_array_equal(told["confident"], compute_confident_joint(labels, probabilities, calibrate=False), what)
                for method in ("confident_learning", "predicted_neq_given"):
                    rows, _ = ours.issues(probabilities, labels, method, keep_per_class=0, votes="largest_of_all")
                    numpy.testing.assert_array_equal(rows, rows_of(find_label_issues(labels, probabilities, filter_by=method, n_jobs=1)), what)
                # Which of equal examples is taken differs; what they are equal in does not.
                rows, _ = ours.issues(probabilities, labels, "low_self_confidence", keep_per_class=0, votes="largest_of_all")
                theirs = rows_of(find_label_issues(labels, probabilities, filter_by="low_self_confidence", n_jobs=1))
                numpy.testing.assert_array_equal(numpy.sort(given[rows]), numpy.sort(given[theirs]), what)
                self.differ_by("ties_of_examples", len(set(rows) ^ set(theirs)) / 2 / max(1, len(rows)), what)

    def test_scores_and_ranking(self):
        for what, labels, probabilities in inputs():
            mask = find_label_issues(labels, probabilities, filter_by="predicted_neq_given", n_jobs=1)
            for score in SCORES:
                theirs = get_label_quality_scores(labels, probabilities, method=score)
                self.agree(ours.scores(probabilities, labels, score), theirs, f"{what}, {score}")
                rows, scores = ours.find(probabilities, labels, "predicted_neq_given", score, keep_per_class=0)
                order = order_label_issues(mask, labels, probabilities, rank_by=score)
                numpy.testing.assert_array_equal(rows, order, f"{what}, {score}")
                self.agree(scores, theirs[order], what)

    def test_certain_rows(self):
        labels = numpy.array([0, 1, 1, 2, 0, 2], dtype=numpy.int32)
        probabilities = numpy.array([[1.0, 0, 0], [0, 1, 0], [1, 0, 0], [1e-9, 1e-9, 1 - 2e-9], [0.6, 0.3, 0.1], [0.1, 0.1, 0.8]])
        theirs = get_label_quality_scores(labels, probabilities, method="confidence_weighted_entropy")
        scores = ours.scores(probabilities, labels, "confidence_weighted_entropy")
        self.agree(scores[[2, 4, 5]], theirs[[2, 4, 5]], "uncertain, or certain of another")
        self.assertEqual(list(scores[:2]), [1, 1])
        self.differ("certain_entropy", scores, theirs, "certain of the given label")

    def test_noise_matrices(self):
        for what, labels, probabilities in inputs():
            with stable_sorts():
                joint = compute_confident_joint(labels, probabilities)
            share, noise, inverse = estimate_latent(joint, labels, py_method="marginal")
            told = ours.noise(probabilities, labels, votes="largest_of_all")
            known = joint.sum(axis=0) > 0
            given = joint.sum(axis=1) > 0
            self.agree(told["noise"][:, known], noise[:, known], what)
            self.agree(told["inverse_noise"][:, given], inverse[:, given], what)
            if known.all():
                self.agree(told["true_share"], share, what)
            else:
                self.differ("empty_class_share", told["true_share"], share, what)
            if not (known.all() and given.all()):
                self.differ("empty_class_column", told["noise"][:, ~known].sum(axis=0), noise[:, ~known].sum(axis=0), what)
            self.agree(told["noise"].sum(axis=0), numpy.ones(len(known)), what)
            self.agree(told["inverse_noise"].sum(axis=0), numpy.ones(len(known)), what)
            rate, low, high = told["rate"]
            self.agree(rate, 1 - joint.trace() / joint.sum(), what)
            self.assertTrue(low <= rate <= high)

    def test_single_precision(self):
        for what, labels, probabilities in inputs():
            narrow = probabilities.astype(numpy.float32)
            told = ours.joint(narrow, labels, votes="largest_of_all")
            self.differ("float32_thresholds", told["thresholds"], get_confident_thresholds(labels, narrow), what)
            # Ours are what cleanlab finds for the same numbers as doubles.
            wide = narrow.astype(numpy.float64)
            numpy.testing.assert_array_equal(told["confident"], compute_confident_joint(labels, wide, calibrate=False), what)
            for score in SCORES:
                self.agree(ours.scores(narrow, labels, score), get_label_quality_scores(labels, wide, method=score), what)

    def test_one_class_and_few_rows(self):
        labels, probabilities = made(1, 100, 4)
        only = numpy.full(100, 2, dtype=numpy.int32)
        with self.assertRaises(ValueError):
            find_label_issues(only, probabilities)
        self.refused("all 100 labels are class 2", ours.joint, probabilities, only)
        # cleanlab takes fewer examples than classes; ours says that they are too few.
        self.assertEqual(len(find_label_issues(labels[:4], made(2, 40, 30)[1][:4], n_jobs=1)), 4)
        self.refused("3 examples for 4 classes", ours.joint, probabilities[:3], labels[:3])
        bad = probabilities.copy()
        bad[7, 1] = 1.2
        with self.assertRaises(ValueError):
            find_label_issues(labels, bad)
        self.refused("row 7, class 1", ours.joint, bad, labels)
        # cleanlab does not look at a row's sum.
        bad[7] = [0.4, 0.1, 0.1, 0.1]
        find_label_issues(labels, bad, n_jobs=1)
        self.refused("row 7: probabilities sum to 0.7", ours.joint, bad, labels)


if __name__ == "__main__":
    compare.main()
