"""Scores of what to label next beside cleanlab's ActiveLab and scipy, and inverse weighting beside scipy's intervals."""

import numpy
import scipy.spatial.distance
import scipy.stats
from cleanlab.internal.multiannotator_utils import find_best_temp_scaler, temp_scale_pred_probs
from cleanlab.multiannotator import get_active_learning_scores, get_label_quality_multiannotator

import compare
from tidewheel_peers import acquisition as ours


def crowd(seed, items, workers, classes, votes):
    """Probabilities and a table items x workers of labels, NaN where nobody voted; every item has a vote, every worker two."""
    random = numpy.random.default_rng([seed, items, workers, classes])
    truth = random.integers(0, classes, items)
    probabilities = random.dirichlet(numpy.full(classes, 0.6), items) + 0.8 * numpy.eye(classes)[truth]
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    table = numpy.full((items, workers), numpy.nan)
    skill = random.uniform(0.4, 0.95, workers)
    for i in range(items):
        for w in {i % workers, *random.choice(workers, votes - 1)}:
            table[i, w] = truth[i] if random.random() < skill[w] else random.integers(0, classes)
    table[:classes, 0] = numpy.arange(classes)  # Every class is voted for.
    return probabilities, table


def active_lab(quality, table, weights, model_weight, classes):
    item, worker = numpy.nonzero(~numpy.isnan(table))
    label = table[item, worker].astype(numpy.int32)
    return ours.active_lab(quality, item.astype(numpy.int32), worker.astype(numpy.int32), label, weights, model_weight, classes)


class ActiveLabTest(compare.PeersTest):
    area = "acquisition"

    def test_agrees_with_cleanlab_on_its_weights(self):
        for seed in compare.SEEDS:
            for items, workers, classes, votes in [(40, 5, 2, 3), (150, 12, 4, 2), (300, 30, 7, 5)]:
                what = f"seed {seed}, {items} items"
                probabilities, table = crowd(seed, items, workers, classes, votes)
                unlabeled = numpy.random.default_rng(seed).dirichlet(numpy.ones(classes), 20)
                theirs, theirs_unlabeled = get_active_learning_scores(table, probabilities, unlabeled)

                temperature = find_best_temp_scaler(table, probabilities)
                scaled = temp_scale_pred_probs(probabilities, temperature)
                found = get_label_quality_multiannotator(
                    table, scaled, return_annotator_stats=False, return_detailed_quality=False, return_weights=True, verbose=False
                )
                quality = found["label_quality"]["consensus_quality_score"].to_numpy(dtype=float)
                weights = numpy.asarray(found["annotator_weight"], dtype=float)
                model = float(found["model_weight"])
                self.agree(active_lab(quality, table, weights, model, classes), theirs, what)

                best = temp_scale_pred_probs(unlabeled, temperature).max(axis=1)
                nobody = numpy.full((20, workers), numpy.nan)
                self.agree(active_lab(best, nobody, weights, model, classes), theirs_unlabeled, what)

                # The same from the probabilities as they came.
                plain = get_label_quality_multiannotator(
                    table, probabilities, return_annotator_stats=False, return_detailed_quality=False, return_weights=True, verbose=False
                )
                uncalibrated = active_lab(
                    plain["label_quality"]["consensus_quality_score"].to_numpy(dtype=float),
                    table,
                    numpy.asarray(plain["annotator_weight"], dtype=float),
                    float(plain["model_weight"]),
                    classes,
                )
                self.differ("active_lab_temperature", uncalibrated, theirs, what)

    def test_agrees_where_every_item_has_one_vote(self):
        for seed in compare.SEEDS:
            random = numpy.random.default_rng(seed)
            probabilities = random.dirichlet(numpy.ones(3), 50)
            table = numpy.full((50, 4), numpy.nan)
            table[numpy.arange(50), random.integers(0, 4, 50)] = random.integers(0, 3, 50)
            table[:3] = numpy.nan
            table[:3, 0] = numpy.arange(3)
            theirs, _ = get_active_learning_scores(table, probabilities)
            # cleanlab's quality of a lone vote is the probability of its class; all weights are 1.
            quality = probabilities[numpy.arange(50), numpy.nanmax(table, axis=1).astype(int)]
            self.agree(active_lab(quality, table, numpy.ones(4), 1.0, 3), theirs, f"seed {seed}")


class ScoresTest(compare.PeersTest):
    area = "acquisition"

    def test_agree_with_scipy(self):
        for seed in compare.SEEDS:
            for rows, classes in [(1, 2), (50, 3), (200, 20)]:
                what = f"seed {seed}, {rows} x {classes}"
                random = numpy.random.default_rng([seed, rows, classes])
                p, q = random.dirichlet(numpy.full(classes, 0.3), (2, rows))
                if seed % 3 == 0:
                    p, q = numpy.eye(classes)[p.argmax(axis=1)], numpy.eye(classes)[q.argmax(axis=1)]
                self.agree(ours.uncertainty(p, "entropy"), scipy.stats.entropy(p, axis=1) / numpy.log(classes), what)
                ordered = numpy.sort(p, axis=1)
                self.agree(ours.uncertainty(p, "least confident"), 1 - ordered[:, -1], what)
                self.agree(ours.uncertainty(p, "margin"), 1 - (ordered[:, -1] - ordered[:, -2]), what)
                divergence, variation, other = ours.disagreement(p, q)
                self.agree(divergence, scipy.spatial.distance.jensenshannon(p, q, base=2, axis=1) ** 2, what)
                self.agree(variation, numpy.abs(p - q).sum(axis=1) / 2, what)
                self.agree(other, p.argmax(axis=1) != q.argmax(axis=1), what)

    def test_bad_input_has_a_name(self):
        p = numpy.full((3, 2), 0.5)
        p[1, 0] = numpy.nan
        self.refused("row 1", ours.uncertainty, p, "entropy")


class InverseWeightsTest(compare.PeersTest):
    area = "acquisition"

    def test_equal_weights_are_students_and_wilsons_intervals(self):
        for seed in compare.SEEDS:
            random = numpy.random.default_rng(seed)
            count = int(random.integers(2, 400))
            values = (random.random(count) < random.random()).astype(float)
            values[0] = 1.0 - values[1]
            made = ours.inverse_weights(values, numpy.full(count, 0.1), 10 * count)
            mean = values.mean()
            student = scipy.stats.t.interval(0.95, count - 1, mean, scipy.stats.sem(values))
            self.agree(made[:3], (mean, *student), f"seed {seed}")
            wilson = scipy.stats.binomtest(int(values.sum()), count).proportion_ci(0.95, method="wilson")
            self.agree(made[3:], (mean, *wilson), f"seed {seed}")


if __name__ == "__main__":
    compare.main()
