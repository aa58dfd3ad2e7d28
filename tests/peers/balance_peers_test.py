"""Nearest neighbours, what is cleaned by them, figures for imbalanced data, k-means and predictive power, beside scikit-learn and scipy."""

import numpy
import scipy.stats
import sklearn.cluster
import sklearn.metrics
import sklearn.model_selection
import sklearn.neighbors
import sklearn.tree

import compare
from tidewheel_peers import balance as ours

SHAPES = [(2, 1), (40, 2), (300, 7), (700, 40)]


def table(seed, rows, columns, coarse=False):
    random = numpy.random.default_rng([seed, rows, columns])
    values = random.integers(0, 4, (rows, columns)).astype(float) if coarse else random.normal(size=(rows, columns))
    return random, values * 10.0 ** (seed % 5 - 2)


def nearest_other(values, neighbours):
    """Of each row, by scikit-learn's tree, which takes differences as we do."""
    tree = sklearn.neighbors.NearestNeighbors(n_neighbors=neighbours, algorithm="kd_tree").fit(values)
    return tree.kneighbors()


class NeighboursTest(compare.PeersTest):
    area = "balance"

    def test_agree_with_the_tree_of_scikit_learn(self):
        for seed in compare.SEEDS:
            for rows, columns in SHAPES:
                what = f"seed {seed}, {rows} x {columns}"
                random, points = table(seed, rows, columns)
                queries = random.normal(size=(25, columns))
                neighbours = min(rows, 1 + seed % 9)
                index, squared = ours.nearest(points, queries, neighbours)
                tree = sklearn.neighbors.NearestNeighbors(n_neighbors=neighbours, algorithm="kd_tree").fit(points)
                distance, place = tree.kneighbors(queries)
                self.agree(numpy.sqrt(squared), distance, what)
                self.agree(index, place, what)
                radius = numpy.sqrt(squared[:, -1]) * 1.5
                within = [tree.radius_neighbors(queries[i : i + 1], radius[i])[0][0].size for i in range(25)]
                self.agree(ours.count_within(points, queries, radius**2), within, what)
                if rows > neighbours:
                    distance, place = nearest_other(points, neighbours)
                    index, squared = ours.nearest_others(points, neighbours)
                    self.agree(numpy.sqrt(squared), distance, what)
                    self.agree(index, place, what)

    def test_ties_are_in_order_of_index_and_in_none_there(self):
        for seed in compare.SEEDS:
            random, points = table(seed, 200, 3, coarse=True)
            neighbours = 1 + seed % 12
            index, squared = ours.nearest(points, points, neighbours)
            tree = sklearn.neighbors.NearestNeighbors(n_neighbors=neighbours, algorithm="kd_tree").fit(points)
            distance, place = tree.kneighbors(points)
            self.agree(numpy.sqrt(squared), distance, f"seed {seed}")
            every = ((points[:, None, :] - points[None, :, :]) ** 2).sum(axis=2)
            self.agree(index, numpy.argsort(every, axis=1, kind="stable")[:, :neighbours], f"seed {seed}")
            self.differ_by("neighbour_ties", numpy.mean(index != place), f"seed {seed}")

    def test_brute_force_of_scikit_learn_loses_digits(self):
        for seed in compare.SEEDS:
            _, points = table(seed, 300, 7)
            points = points + 1e5 * points.std()
            theirs, _ = sklearn.neighbors.NearestNeighbors(n_neighbors=3, algorithm="brute").fit(points).kneighbors()
            _, squared = ours.nearest_others(points, 3)
            exact, _ = nearest_other(points, 3)
            self.agree(numpy.sqrt(squared), exact, f"seed {seed}")
            self.differ_by("brute_force_digits", numpy.max(numpy.abs(theirs / numpy.sqrt(squared) - 1)), f"seed {seed}")

    def test_bad_input_has_a_name(self):
        points = numpy.ones((4, 2))
        points[2, 1] = numpy.inf
        self.refused("row 2, column 1", ours.nearest, points, numpy.ones((1, 2)), 1)


class CleaningTest(compare.PeersTest):
    area = "balance"

    def test_follows_the_definitions_on_the_neighbours_of_scikit_learn(self):
        for seed in compare.SEEDS:
            random, values = table(seed, 250, 3)
            classes = 2 + seed % 3
            labels = random.integers(0, classes, 250).astype(numpy.int32)
            near = nearest_other(values, 1)[1][:, 0]
            links = [(i, j) for i, j in enumerate(near) if i < j and near[j] == i and labels[i] != labels[j]]
            self.assertEqual(ours.tomek_links(labels, classes, values), links)

            neighbours = 3 + seed % 4
            around = labels[nearest_other(values, neighbours)[1]]
            votes = numpy.stack([(around == k).sum(axis=1) for k in range(classes)], axis=1)
            kept = numpy.flatnonzero(votes[numpy.arange(250), labels] == votes.max(axis=1))
            self.agree(ours.remove_outvoted(labels, classes, values, neighbours), kept, f"seed {seed}")


class ImbalanceTest(compare.PeersTest):
    area = "balance"

    def test_agrees_with_scikit_learn(self):
        for seed in compare.SEEDS:
            for rows, classes in [(30, 2), (200, 2), (400, 5), (60, 9)]:
                what = f"seed {seed}, {rows} x {classes}"
                random = numpy.random.default_rng([seed, rows, classes])
                shares = random.dirichlet(numpy.full(classes, 0.4))
                labels = random.choice(classes, rows, p=shares).astype(numpy.int32)
                labels[:2] = [0, 1]
                scores = random.normal(size=(rows, classes)) + 1.5 * numpy.eye(classes)[labels]
                if seed % 2:
                    scores = numpy.round(scores)  # Ties.
                predicted = scores.argmax(axis=1).astype(numpy.int32)
                report = ours.report(labels, predicted, scores)
                self.agree(report["accuracy"], sklearn.metrics.accuracy_score(labels, predicted), what)
                self.agree(report["balanced_accuracy"], sklearn.metrics.balanced_accuracy_score(labels, predicted), what)
                self.agree(report["matthews"], sklearn.metrics.matthews_corrcoef(labels, predicted), what)
                self.agree(report["macro_f1"], sklearn.metrics.f1_score(labels, predicted, average="macro", zero_division=0), what)
                self.agree(report["kappa"], sklearn.metrics.cohen_kappa_score(labels, predicted), what)
                known = list(range(classes))
                self.agree(report["recall"], sklearn.metrics.recall_score(labels, predicted, labels=known, average=None, zero_division=0), what)
                confusion = sklearn.metrics.confusion_matrix(labels, predicted, labels=known).astype(numpy.uint64)
                for weights in ("linear", "quadratic"):
                    theirs = sklearn.metrics.cohen_kappa_score(labels, predicted, labels=known, weights=weights)
                    self.agree(ours.kappa(confusion, weights), theirs, what)
                for k in known:
                    own = labels == k
                    self.assertEqual(k in report["rankings"], bool(own.any()) and not own.all())
                    if k in report["rankings"]:
                        theirs = sklearn.metrics.roc_auc_score(own, scores[:, k]), sklearn.metrics.average_precision_score(own, scores[:, k])
                        self.agree(report["rankings"][k], theirs, what)

    def test_one_class_on_both_sides_has_no_kappa(self):
        self.refused("all samples are of one class", ours.kappa, numpy.array([[5, 0], [0, 0]], dtype=numpy.uint64))
        labels = numpy.zeros(5, dtype=numpy.int32)
        self.assertIsNone(ours.report(labels, labels, numpy.zeros((5, 2)))["kappa"])


class KMeansTest(compare.PeersTest):
    area = "balance"

    def test_lloyd_of_scikit_learn_has_nothing_to_improve(self):
        for seed in compare.SEEDS:
            _, values = table(seed, 300, 4)
            clusters = 2 + seed % 6
            centroids, assignment, inertia = ours.kmeans(values, clusters, seed)
            theirs = sklearn.cluster.KMeans(clusters, init=centroids, n_init=1, tol=0, algorithm="lloyd").fit(values)
            self.agree(centroids, theirs.cluster_centers_, f"seed {seed}")
            self.agree(assignment, theirs.labels_, f"seed {seed}")
            self.agree(inertia, theirs.inertia_, f"seed {seed}")

    def test_starts_are_as_good_as_those_of_scikit_learn(self):
        for seed in compare.SEEDS:
            _, values = table(seed, 400, 2)
            _, _, inertia = ours.kmeans(values, 8, seed)
            theirs = sklearn.cluster.KMeans(8, init="k-means++", n_init=4, random_state=seed).fit(values).inertia_
            self.differ_by("kmeans_start", max(0.0, inertia / theirs - 1), f"seed {seed}")


class HypergeometricTest(compare.PeersTest):
    area = "balance"

    def test_agrees_with_scipy(self):
        for seed in compare.SEEDS:
            random = numpy.random.default_rng(seed)
            for _ in range(50):
                population = int(random.integers(1, 10 ** int(random.integers(1, 7))))
                marked, draws = (int(v) for v in random.integers(0, population + 1, 2))
                least = int(random.integers(0, draws + 2))
                theirs = scipy.stats.hypergeom.sf(least - 1, population, marked, draws)
                self.agree(ours.hypergeometric_tail(least, population, marked, draws), theirs, f"{least} of {marked}, {draws} of {population}")


class PredictivePowerTest(compare.PeersTest):
    area = "balance"

    def test_is_near_a_tree_of_scikit_learn_on_other_folds(self):
        for seed in compare.SEEDS:
            random = numpy.random.default_rng(seed)
            classes = 2 + seed % 4
            labels = random.integers(0, classes, 1200).astype(numpy.int32)
            values = labels * 1.0 + random.normal(size=1200) * (0.1 + seed / 10)
            _, f1, baseline = ours.predictive_power(values, labels, classes)
            tree = sklearn.tree.DecisionTreeClassifier(max_leaf_nodes=64, min_samples_leaf=5, random_state=seed)
            folds = sklearn.model_selection.StratifiedKFold(4, shuffle=True, random_state=seed)
            predicted = sklearn.model_selection.cross_val_predict(tree, values[:, None], labels, cv=folds)
            self.differ("predictive_power_folds", f1, sklearn.metrics.f1_score(labels, predicted, average="weighted"), f"seed {seed}")
            shares = numpy.bincount(labels) / 1200
            constant = sklearn.metrics.f1_score(labels, numpy.full(1200, shares.argmax()), average="weighted", zero_division=0)
            self.agree(baseline, max(constant, (shares**2).sum()), f"seed {seed}")


if __name__ == "__main__":
    compare.main()
