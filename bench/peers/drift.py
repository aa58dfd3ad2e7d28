"""Drift profiles beside numpy and scipy: 5 features of 1,000,000 float32 rows, as many in the reference, each on its own, as the peers take them."""

import numpy
import scipy.stats

import measure
from tidewheel_peers import drift as ours

ROWS, FEATURES, BINS = 1_000_000, 5, 20


def make():
    """Normal columns, of which the current ones are a little wider; what each side keeps of the reference."""
    random = numpy.random.default_rng(1)
    reference = random.standard_normal((FEATURES, ROWS), dtype=numpy.float32)
    current = random.standard_normal((FEATURES, ROWS), dtype=numpy.float32) * numpy.float32(1.001)
    edges = [numpy.quantile(column, numpy.linspace(0, 1, BINS + 1)) for column in reference]
    counts = [numpy.histogram(column, edge)[0] for column, edge in zip(reference, edges)]
    return reference, current, ours.reference(reference), edges, counts


def against_stored(inputs):
    """Moments, missing, PSI, Jensen-Shannon, Wasserstein and the bounds of Kolmogorov-Smirnov of the window."""
    _, current, profile, _, _ = inputs
    return ours.compare(profile, ours.window(profile, current))


def from_both_sides(inputs):
    """The same with nothing known before: grids are chosen, the reference is counted too."""
    reference, current, _, _, _ = inputs
    profile = ours.reference(reference)
    return ours.compare(profile, ours.window(profile, current))


def psi_by_numpy(inputs):
    """Of the window alone, 20 bins, over edges and counts that are kept."""
    _, current, _, edges, counts = inputs
    found = []
    for column, edge, count in zip(current, edges, counts):
        p, q = count + 0.5, numpy.histogram(column, edge)[0] + 0.5
        p, q = p / p.sum(), q / q.sum()
        found.append(((q - p) * numpy.log(q / p)).sum())
    return found


def psi_by_numpy_equal_bins(inputs):
    """The same over 20 bins of equal width from -5 to 5, for which numpy has another way; the reference's counts are of no matter here."""
    found = []
    for column, count in zip(inputs[1], inputs[4]):
        p, q = count + 0.5, numpy.histogram(column, BINS, (-5, 5))[0] + 0.5
        p, q = p / p.sum(), q / q.sum()
        found.append(((q - p) * numpy.log(q / p)).sum())
    return found


def moments_by_numpy(inputs):
    return [(column.mean(), column.std(), column.min(), column.max()) for column in inputs[1]]


measure.main([
    measure.Case("window_1m", make, {
        "ours": against_stored,
        "ours_from_both_sides": from_both_sides,
        "numpy_psi": psi_by_numpy,
        "numpy_psi_equal_bins": psi_by_numpy_equal_bins,
        "scipy_wasserstein": lambda inputs: [scipy.stats.wasserstein_distance(a, b) for a, b in zip(inputs[0], inputs[1])],
    }, memory=("ours", "scipy_wasserstein")),
    measure.Case("moments_1m", make, {
        "ours": lambda inputs: [ours.moments(column) for column in inputs[1]],
        "numpy": moments_by_numpy,
    }),
    measure.Case("quantiles_1m", lambda: numpy.random.default_rng(1).standard_normal(ROWS), {
        "ours": lambda values: ours.quantiles(values, numpy.linspace(0, 1, 21), numpy.zeros(0)),
        "numpy": lambda values: numpy.quantile(values, numpy.linspace(0, 1, 21)),
    }),
])
