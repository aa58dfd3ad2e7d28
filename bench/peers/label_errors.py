#!/usr/bin/env python3
"""Label errors beside cleanlab. Ours ranks what it finds; cleanlab is asked for less, the mask alone."""

import numpy
from cleanlab.experimental.label_issues_batched import find_label_issues_batched
from cleanlab.filter import find_label_issues

import measure
from tidewheel_peers import label_errors as ours


def make(rows, classes, kind):
    """A model that is right in nineteen rows of twenty, on the whole confidently, and labels of which one of ten was replaced."""
    random = numpy.random.default_rng(1)
    truth = random.integers(classes, size=rows)
    answer = numpy.where(random.random(rows) < 0.95, truth, random.integers(classes, size=rows))
    labels = numpy.where(random.random(rows) < 0.9, truth, random.integers(classes, size=rows)).astype(numpy.int32)
    top = (0.2 + 0.8 * numpy.sqrt(random.random(rows))).astype(kind)
    probabilities = random.random((rows, classes), dtype=kind)
    probabilities[numpy.arange(rows), answer] = 0
    probabilities *= ((1 - top) / probabilities.sum(axis=1))[:, None]
    probabilities[numpy.arange(rows), answer] = top
    return labels, probabilities


def our(method):
    return lambda inputs: ours.find(inputs[1], inputs[0], method, "normalized_margin")


def their(method):
    return lambda inputs: find_label_issues(*inputs, filter_by=method)


SIDES = {
    "ours": our("confident_learning"),
    "cleanlab": their("confident_learning"),
    "ours_pruning": our("prune_by_noise_rate"),
    "cleanlab_pruning": their("prune_by_noise_rate"),
}

if __name__ == "__main__":
    measure.main([
        measure.Case("50k_x_10.f64", lambda: make(50_000, 10, numpy.float64), SIDES),
        measure.Case("200k_x_1000.f32", lambda: make(200_000, 1_000, numpy.float32), SIDES | {
            "cleanlab_batched": lambda inputs: find_label_issues_batched(*inputs, verbose=False),
        }, memory=("ours", "ours_pruning", "cleanlab")),
    ])
