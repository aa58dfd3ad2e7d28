"""Votes to labels beside crowd-kit and cleanlab, and coefficients of agreement beside scikit-learn, nltk and crowd-kit."""

import csv
import os
import pathlib

import numpy
import sklearn.metrics
from cleanlab.multiannotator import get_label_quality_multiannotator
from nltk.metrics.agreement import AnnotationTask
from nltk.metrics.distance import binary_distance, interval_distance

import compare
import crowd_kit
from tidewheel_peers import consensus as ours

# items, workers, classes, votes an item
SHAPES = [(30, 4, 2, 3), (80, 6, 3, 4), (150, 9, 5, 3)]
PUBLIC = ("product", "bluebird", "dog")


class Crowd:
    """Votes of workers of different skill; with `empty` nobody votes for the last class, with `repeats` some vote twice on an item."""

    def __init__(self, seed, items, workers, classes, votes, empty=False, repeats=False, one_class=False):
        random = numpy.random.default_rng([seed, items, workers, classes, votes])
        known = 1 if one_class else classes - (1 if empty else 0)
        self.items, self.workers, self.classes, self.known = items, workers, classes, known
        truth = random.integers(0, known, items)
        skill = random.uniform(0.45, 0.95, workers)
        rows = []
        for i in range(items):
            for w in random.choice(workers, votes, replace=repeats):
                rows.append((i, w, truth[i] if random.random() < skill[w] else random.integers(0, known)))
        # Everyone has said everything, so that no count is 0.
        if not one_class:
            rows += [(i, w, k) for w in range(workers) for k, i in enumerate(random.choice(items, known, replace=False))
                     if repeats or (i, w) not in {row[:2] for row in rows}]
        if not repeats:
            rows = list({row[:2]: row for row in rows}.values())
        # crowd-kit numbers workers and labels by first appearance; its MACE is right only where that is their order.
        rows.sort(key=lambda row: (row[1], row[2], row[0]))
        self.item, self.worker, self.label = (numpy.array(column, dtype=numpy.int32) for column in zip(*rows))

    def arrays(self, classes=None):
        return self.item, self.worker, self.label, self.items, self.workers, classes or self.classes

    def table(self):
        return crowd_kit.votes(self.item, self.worker, self.label)

    def wide(self):
        table = numpy.full((self.items, self.workers), numpy.nan)
        table[self.item, self.worker] = self.label
        return table

    def spread(self, theirs, classes=None):
        """Their rows by item and class, 0 for a class that they have not seen."""
        frame = theirs.reindex(index=range(self.items), columns=range(classes or self.classes), fill_value=0.0)
        return frame.to_numpy(dtype=float)


def crowds(seed, **kind):
    for shape in SHAPES:
        for empty in (False, True):
            if empty and shape[2] == 2:
                continue
            yield f"seed {seed}, {shape}{', empty class' if empty else ''}{kind or ''}", Crowd(seed, *shape, empty=empty, **kind)


class PublicCrowd:
    """A public set of votes whose truth is known, its rows as the file has them."""

    def __init__(self, name):
        root = pathlib.Path(os.environ.get("TIDEWHEEL_DATA") or pathlib.Path(__file__).resolve().parents[3] / "shared" / "data")
        rows, truth = self.rows(root / "crowd" / name / "label.csv"), self.rows(root / "crowd" / name / "truth.csv")
        items, workers = ({each: i for i, each in enumerate(sorted({row[column] for row in rows}))} for column in (0, 1))
        self.item = numpy.array([items[row[0]] for row in rows], dtype=numpy.int32)
        self.worker = numpy.array([workers[row[1]] for row in rows], dtype=numpy.int32)
        self.label = numpy.array([int(row[2]) for row in rows], dtype=numpy.int32)
        self.truth = {items[row[0]]: int(row[1]) for row in truth if row[0] in items}
        self.shape = len(items), len(workers), int(self.label.max()) + 1

    @staticmethod
    def rows(path):
        with path.open(newline="") as stream:
            return list(csv.reader(stream))[1:]

    def arrays(self):
        return self.item, self.worker, self.label, *self.shape

    def table(self, in_order):
        """In order: workers and labels first appear in ascending order."""
        order = numpy.lexsort((self.item, self.label, self.worker)) if in_order else slice(None)
        return crowd_kit.votes(self.item[order], self.worker[order], self.label[order])

    def accuracy(self, label):
        return numpy.mean([label[item] == true for item, true in self.truth.items()])


class ConsensusTest(compare.PeersTest):
    area = "consensus"

    def same_labels(self, name, found, theirs, what):
        """Where there is no tie their label is ours; of the ties a share differs."""
        label = theirs.reindex(range(len(found["label"]))).to_numpy()
        tied = found["tied"].astype(bool)
        self.agree(found["label"][~tied], label[~tied], what)
        self.differ_by(name, numpy.mean(found["label"] != label), what)


class MajorityTest(ConsensusTest):
    def test_agrees_with_crowd_kit(self):
        for seed in compare.SEEDS:
            for repeats in (False, True):
                for what, crowd in crowds(seed, repeats=repeats):
                    theirs = crowd_kit.MajorityVote().fit(crowd.table())
                    found = ours.majority(*crowd.arrays())
                    self.agree(found["posterior"], crowd.spread(theirs.probas_), what)
                    self.same_labels("majority_ties", found, theirs.labels_, what)

    def test_agrees_on_one_class(self):
        crowd = Crowd(1, 20, 3, 2, 2, one_class=True)
        theirs = crowd_kit.MajorityVote().fit(crowd.table())
        self.agree(ours.majority(*crowd.arrays())["posterior"], crowd.spread(theirs.probas_), "one class")


def wawa(crowd):
    """crowd-kit's own predict() asks scikit-learn for what newer ones do not have; this is what it does."""
    skills = crowd_kit.Wawa().fit(crowd.table()).skills_
    return skills, crowd_kit.MajorityVote().fit(crowd.table(), skills)


class WawaTest(ConsensusTest):
    def test_agrees_with_crowd_kit_where_the_majority_is_clear(self):
        for seed in compare.SEEDS:
            random = numpy.random.default_rng(seed)
            for items, workers in [(30, 5), (100, 9)]:
                crowd = Crowd(seed, items, workers, 2, 3)
                # Three votes for one of two classes are never even.
                chosen = [random.choice(workers, 3, replace=False) for _ in range(items)]
                crowd.item = numpy.repeat(numpy.arange(items, dtype=numpy.int32), 3)
                crowd.worker = numpy.concatenate(chosen).astype(numpy.int32)
                crowd.label = random.integers(0, 2, 3 * items).astype(numpy.int32)
                skills, theirs = wawa(crowd)
                found = ours.wawa(*crowd.arrays())
                cast = numpy.isin(numpy.arange(workers), crowd.worker)
                self.agree(found["quality"][cast], skills.reindex(range(workers)).to_numpy()[cast], f"seed {seed}")
                agreed = ~numpy.isnan(theirs.probas_.to_numpy()).any(axis=1)
                self.agree(found["posterior"][agreed], crowd.spread(theirs.probas_)[agreed], f"seed {seed}")

    def test_differs_by_ties_and_by_repeats(self):
        for seed in compare.SEEDS:
            for what, crowd in crowds(seed):
                skills, _ = wawa(crowd)
                self.differ("wawa_ties", ours.wawa(*crowd.arrays())["quality"], skills.to_numpy(), what)
            for what, crowd in crowds(seed, repeats=True):
                skills, _ = wawa(crowd)
                self.differ("wawa_repeats", ours.wawa(*crowd.arrays())["quality"], skills.to_numpy(), what)


class DawidSkeneTest(ConsensusTest):
    def test_agrees_with_crowd_kit_round_by_round(self):
        for seed in compare.SEEDS:
            for repeats in (False, True):
                for what, crowd in crowds(seed, repeats=repeats):
                    for rounds in (1, 2):
                        theirs = crowd_kit.DawidSkene(n_iter=rounds, tol=-numpy.inf).fit(crowd.table())
                        found = ours.dawid_skene(*crowd.arrays(), smoothing=1e-13, rounds=rounds, tolerance=0)
                        self.agree(found["posterior"], crowd.spread(theirs.probas_), f"{what}, {rounds} rounds")

    def test_differs_at_the_end_and_by_its_smoothing(self):
        for seed in compare.SEEDS:
            crowd = Crowd(seed, *SHAPES[seed % 2], repeats=seed % 3 == 0)
            theirs = crowd_kit.DawidSkene(n_iter=40, tol=-numpy.inf).fit(crowd.table())
            bare = ours.dawid_skene(*crowd.arrays(), smoothing=1e-10, rounds=40, tolerance=0)
            self.differ("dawid_skene_empty_cells", bare["posterior"], crowd.spread(theirs.probas_), f"seed {seed}")
            default = ours.dawid_skene(*crowd.arrays())
            usual = crowd_kit.DawidSkene(n_iter=100).fit(crowd.table())
            self.differ_by("dawid_skene_default", numpy.mean(default["label"] != usual.labels_.reindex(range(crowd.items))), f"seed {seed}")


class OneCoinTest(ConsensusTest):
    def test_agrees_with_crowd_kit(self):
        for seed in compare.SEEDS:
            # Its every round walks a table in Python.
            for crowd in (Crowd(seed, 30, 4, 2, 3), Crowd(seed, 60, 5, 4, 3, empty=True, repeats=seed % 2 == 1)):
                for rounds in (1, 4):
                    theirs = crowd_kit.OneCoinDawidSkene(n_iter=rounds, tol=-numpy.inf).fit(crowd.table())
                    found = ours.one_coin(*crowd.arrays(crowd.known), smoothing=1e-14, rounds=rounds, tolerance=0)
                    self.agree(found["posterior"], crowd.spread(theirs.probas_, crowd.known), f"seed {seed}, {rounds} rounds")


def glad_objective(crowd, ability, ease):
    """What GLAD maximises, straight from its definition."""
    right = 1 / (1 + numpy.exp(-ability[crowd.worker] * numpy.exp(ease[crowd.item])))
    log = numpy.full((crowd.items, crowd.known), -numpy.log(crowd.known))
    for k in range(crowd.known):
        numpy.add.at(log[:, k], crowd.item, numpy.log(numpy.where(crowd.label == k, right, (1 - right) / (crowd.known - 1))))
    largest = log.max(axis=1, keepdims=True)
    likelihood = (largest[:, 0] + numpy.log(numpy.exp(log - largest).sum(axis=1))).sum()
    return likelihood - ((ability - 1) ** 2).sum() / 2 - ((ease - 1) ** 2).sum() / 2


class GladTest(ConsensusTest):
    def test_comes_as_far_as_crowd_kit_and_to_the_same_place(self):
        for seed in compare.SEEDS:
            crowd = Crowd(seed, *[(12, 4, 2, 3), (20, 4, 3, 3)][seed % 2])
            theirs = crowd_kit.GLAD(n_iter=100, tol=1e-8, m_step_tol=1e-5, m_step_max_iter=100).fit(crowd.table())
            found = ours.glad(*crowd.arrays(), rounds=5000, tolerance=1e-13)
            ability = theirs.alphas_.reindex(range(crowd.workers)).to_numpy()
            ease = theirs.betas_.reindex(range(crowd.items)).to_numpy()
            here = glad_objective(crowd, found["ability"], -numpy.log(found["difficulty"]))
            self.agree(found["objective"], here, f"seed {seed}: objective")
            self.assertGreaterEqual(here, glad_objective(crowd, ability, ease) - 1e-9, f"seed {seed}")
            self.differ("glad_stops_early", found["posterior"], crowd.spread(theirs.probas_), f"seed {seed}")


class MaceTest(ConsensusTest):
    def test_agrees_with_crowd_kit_where_its_numbering_is_in_order(self):
        for seed in compare.SEEDS:
            shape = [(40, 4, 2, 4), (40, 5, 3, 5)][seed % 2]
            crowd = Crowd(seed, *shape)
            for method, variational in [("vb", True), ("em", False)]:
                theirs = crowd_kit.MACE(n_restarts=1, n_iter=200, method=method).fit(crowd.table())
                found = ours.mace(*crowd.arrays(), restarts=1, rounds=200, tolerance=0, estimate_prior=False, variational=variational)
                # Two starts, one end, but for what 200 rounds leave.
                self.differ("mace_start", found["posterior"], crowd.spread(theirs.probas_), f"seed {seed}, {method}")

    def test_does_not_depend_on_the_order_of_rows_as_crowd_kit_does(self):
        for seed in list(compare.SEEDS)[:5]:
            crowd = Crowd(seed, 40, 6, 3, 5)
            order = numpy.random.default_rng(seed).permutation(len(crowd.item))
            here = crowd_kit.MACE(n_restarts=1).fit(crowd.table())
            there = crowd_kit.MACE(n_restarts=1).fit(crowd.table().iloc[order].reset_index(drop=True))
            self.differ("mace_row_order", crowd.spread(here.probas_), crowd.spread(there.probas_), f"seed {seed}: crowd-kit with itself")
            found = ours.mace(*crowd.arrays())
            crowd.item, crowd.worker, crowd.label = crowd.item[order], crowd.worker[order], crowd.label[order]
            self.agree(ours.mace(*crowd.arrays())["posterior"], found["posterior"], f"seed {seed}", tolerance=0)

    def test_accuracy_on_public_votes_is_crowd_kits_where_its_numbering_is_in_order(self):
        for name in PUBLIC:
            crowd = PublicCrowd(name)
            for method, variational in [("vb", True), ("em", False)]:
                theirs = crowd_kit.MACE(n_restarts=1, n_iter=800, method=method).fit(crowd.table(in_order=True))
                found = ours.mace(*crowd.arrays(), restarts=1, rounds=800, tolerance=0, estimate_prior=False, variational=variational)
                self.assertAlmostEqual(crowd.accuracy(found["label"]), crowd.accuracy(theirs.labels_), delta=0.002, msg=f"{name}, {method}")

    def test_accuracy_on_public_votes_is_not_crowd_kits_with_the_rows_as_they_come(self):
        for name in PUBLIC:
            crowd = PublicCrowd(name)
            theirs = crowd_kit.MACE(n_restarts=1).fit(crowd.table(in_order=False))
            self.differ("mace_public_rows", crowd.accuracy(ours.mace(*crowd.arrays())["label"]), crowd.accuracy(theirs.labels_), name)

    def test_restarts_differ_as_crowd_kits_do_not(self):
        crowd = Crowd(3, 40, 6, 3, 5)
        restarts = ours.mace(*crowd.arrays(), rounds=3)["restarts"]
        self.assertEqual(len(set(restarts)), 10)
        one = crowd_kit.MACE(n_restarts=1, n_iter=3).fit(crowd.table())
        ten = crowd_kit.MACE(n_restarts=10, n_iter=3).fit(crowd.table())
        self.agree(one.probas_, ten.probas_, "crowd-kit's restarts all start from one seed")


class CrowdlabTest(ConsensusTest):
    def probabilities(self, seed, crowd, classes):
        random = numpy.random.default_rng([seed, 5])
        return random.dirichlet(numpy.full(classes, 0.5), crowd.items)

    def test_agrees_with_cleanlab(self):
        for seed in compare.SEEDS:
            for what, crowd in crowds(seed):
                probabilities = self.probabilities(seed, crowd, crowd.classes)
                # Mostly right, so that the model has a weight.
                if seed % 2:
                    majority = ours.majority(*crowd.arrays())["label"]
                    probabilities = (probabilities + 2 * numpy.eye(crowd.classes)[majority]) / 3
                theirs = get_label_quality_multiannotator(crowd.wide(), probabilities, verbose=False, return_weights=True)
                found = ours.crowdlab(*crowd.arrays(), probabilities)
                quality = theirs["label_quality"]
                self.agree(found["label"], quality["consensus_label"], what)
                self.agree(found["label_quality"], quality["consensus_quality_score"], what)
                self.agree(found["agreement"], quality["annotator_agreement"], what)
                self.agree(found["model_weight"], theirs["model_weight"], what)
                self.agree(found["worker_weight"], theirs["annotator_weight"], what)
                self.agree(found["quality"], theirs["annotator_stats"]["annotator_quality"].sort_index().to_numpy(), what)

    def test_agrees_where_some_items_have_one_vote(self):
        for seed in compare.SEEDS:
            crowd = Crowd(seed, 60, 6, 3, 3)
            lone = crowd.item < 20
            first = numpy.zeros(len(lone), dtype=bool)
            first[numpy.unique(crowd.item, return_index=True)[1]] = True
            kept = ~lone | first
            crowd.item, crowd.worker, crowd.label = crowd.item[kept], crowd.worker[kept], crowd.label[kept]
            probabilities = self.probabilities(seed, crowd, 3)
            theirs = get_label_quality_multiannotator(crowd.wide(), probabilities, verbose=False, return_weights=True)
            found = ours.crowdlab(*crowd.arrays(), probabilities)
            self.agree(found["label_quality"], theirs["label_quality"]["consensus_quality_score"], f"seed {seed}")
            self.agree(found["worker_weight"], theirs["annotator_weight"], f"seed {seed}")
            self.agree(found["quality"], theirs["annotator_stats"]["annotator_quality"].sort_index().to_numpy(), f"seed {seed}")

    def test_even_classifiers_leave_ties_to_the_prior(self):
        for seed in compare.SEEDS:
            crowd = Crowd(seed, 60, 6, 3, 2)
            even = numpy.full((crowd.items, 3), 1 / 3)
            numpy.random.seed(seed)  # It breaks the last ties by chance.
            theirs = get_label_quality_multiannotator(crowd.wide(), even, verbose=False)["label_quality"]["consensus_label"]
            self.differ_by("crowdlab_ties", numpy.mean(ours.crowdlab(*crowd.arrays(), even)["label"] != theirs), f"seed {seed}")


class AgreementTest(compare.PeersTest):
    area = "consensus"

    def test_cohens_kappa_agrees_with_scikit_learn(self):
        for seed in compare.SEEDS:
            random = numpy.random.default_rng(seed)
            for items, classes in [(3, 2), (25, 3), (200, 7)]:
                first = random.integers(0, classes, items).astype(numpy.int32)
                second = numpy.where(random.random(items) < 0.5, first, random.integers(0, classes, items)).astype(numpy.int32)
                for weights in (None, "linear", "quadratic"):
                    theirs = sklearn.metrics.cohen_kappa_score(first, second, labels=list(range(classes)), weights=weights)
                    what = f"seed {seed}, {items} x {classes}, {weights}"
                    if numpy.isnan(theirs):
                        self.refused("all votes are equal", ours.cohen, first, second, classes)
                    else:
                        self.agree(ours.cohen(first, second, classes, weights or "none"), theirs, what)

    def test_alpha_agrees_with_crowd_kit(self):
        for seed in compare.SEEDS:
            for what, crowd in crowds(seed):
                self.agree(ours.alpha(*crowd.arrays()), crowd_kit.alpha_krippendorff(crowd.table(), binary_distance), what)
                self.agree(ours.alpha(*crowd.arrays(), "interval"), crowd_kit.alpha_krippendorff(crowd.table(), interval_distance), what)

    def test_fleiss_kappa_of_full_tables_agrees_with_nltk(self):
        for seed in compare.SEEDS:
            random = numpy.random.default_rng(seed)
            items, workers, classes = 30, 2 + seed % 5, 2 + seed % 3
            label = random.integers(0, classes, (items, workers)).astype(numpy.int32)
            item, worker = (index.ravel().astype(numpy.int32) for index in numpy.indices(label.shape))
            task = AnnotationTask([(int(w), int(i), int(l)) for i, w, l in zip(item, worker, label.ravel())])
            self.agree(ours.fleiss(item, worker, label.ravel(), items, workers, classes), task.pi(), f"seed {seed}")


class BadInputTest(compare.PeersTest):
    area = "consensus"

    def test_has_a_name(self):
        crowd = Crowd(1, 30, 4, 2, 3)
        item, worker, label, items, workers, classes = crowd.arrays()
        for function in (ours.majority, ours.wawa, ours.dawid_skene, ours.one_coin, ours.glad, ours.mace):
            self.refused("is out of range", function, item, worker, label, items - 1, workers, classes)
            self.refused("at least 2 classes", function, item, worker, label, items, workers, 1)
            self.refused("no votes", function, item[:0], worker[:0], label[:0], items, workers, classes)
        for function in (ours.wawa, ours.dawid_skene, ours.one_coin, ours.glad, ours.mace):
            self.refused("only one worker", function, item, worker * 0, label, items, workers, classes)


if __name__ == "__main__":
    compare.main()
