"""Votes to labels beside crowd-kit: Dawid-Skene of 1,000,000 made-up votes, and every method on the public set `product` of
../shared/data/crowd (or $TIDEWHEEL_DATA), from arrays to labels on both sides."""

import os
import pathlib

import numpy
import pandas

import crowd_kit
import measure
from tidewheel_peers import consensus as ours

ITEMS, WORKERS, CLASSES, VOTES_PER_ITEM = 200_000, 1_000, 10, 5
SEVERAL, MANY = 10, 25


def million():
    """Workers who are right seven times of ten, and crowd-kit's state before a round."""
    random = numpy.random.default_rng(1)
    truth = random.integers(0, CLASSES, ITEMS)
    item = numpy.repeat(numpy.arange(ITEMS, dtype=numpy.int32), VOTES_PER_ITEM)
    worker = random.integers(0, WORKERS, len(item)).astype(numpy.int32)
    label = numpy.where(random.random(len(item)) < 0.7, truth[item], random.integers(0, CLASSES, len(item))).astype(numpy.int32)
    return item, worker, label, ITEMS, WORKERS, CLASSES


class Round:
    """One round of crowd-kit's Dawid-Skene as its fit() has it, with all that comes before done once."""

    state = None

    @classmethod
    def before(cls, votes):
        if cls.state is None:
            table = crowd_kit.votes(*votes[:3])
            probas = crowd_kit.MajorityVote().fit_predict_proba(table)
            cls.state = table, probas.mean(), crowd_kit.DawidSkene._m_step(table, probas)
        return cls.state

    @staticmethod
    def run(state):
        table, priors, errors = state
        model = crowd_kit.DawidSkene()
        probas = model._e_step(table, priors, errors)
        priors = probas.mean()
        errors = model._m_step(table, probas)
        return model._evidence_lower_bound(table, probas, priors, errors)


def product():
    folder = pathlib.Path(os.environ.get("TIDEWHEEL_DATA", pathlib.Path(__file__).resolve().parents[3] / "shared/data"))
    votes = pandas.read_csv(folder / "crowd/product/label.csv")
    item, worker, label = (votes[name].to_numpy(dtype=numpy.int32) for name in ("item", "worker", "label"))
    return item, worker, label, int(item.max()) + 1, int(worker.max()) + 1, 2


def crowd_kits(model):
    return lambda votes: model().fit(crowd_kit.votes(*votes[:3]))


measure.main([
    measure.Case("dawid_skene_1m", million, {
        f"ours_{MANY}_rounds": lambda votes: ours.dawid_skene(*votes, rounds=MANY, tolerance=0),
        "crowd_kit_1_round": measure.Side(Round.run, repeats=3, before=Round.before),
    }),
    measure.Case("dawid_skene_1m_end_to_end", million, {
        "ours": lambda votes: ours.dawid_skene(*votes, rounds=SEVERAL, tolerance=0),
        "crowd_kit": measure.Side(crowd_kits(lambda: crowd_kit.DawidSkene(n_iter=SEVERAL, tol=-numpy.inf)), repeats=2),
    }, memory=("ours", "crowd_kit")),
    measure.Case("dawid_skene_product", product, {
        "ours": lambda votes: ours.dawid_skene(*votes),
        "crowd_kit": measure.Side(crowd_kits(lambda: crowd_kit.DawidSkene(n_iter=100)), repeats=3),
    }),
    measure.Case("one_coin_product", product, {
        "ours": lambda votes: ours.one_coin(*votes),
        "crowd_kit": measure.Side(crowd_kits(lambda: crowd_kit.OneCoinDawidSkene(n_iter=100)), repeats=3),
    }),
    measure.Case("glad_product", product, {
        "ours": lambda votes: ours.glad(*votes),
        "crowd_kit": measure.Side(crowd_kits(crowd_kit.GLAD), repeats=1),
    }, memory=("ours",)),
    measure.Case("mace_product", product, {
        # The same on both sides: variational, classes alike, 10 restarts of 50 rounds.
        "ours": lambda votes: ours.mace(*votes, tolerance=0, estimate_prior=False, variational=True),
        "crowd_kit": measure.Side(crowd_kits(crowd_kit.MACE), repeats=2),
    }),
])
