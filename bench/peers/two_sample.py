"""Exact Kolmogorov-Smirnov and Wasserstein of 1,000,000 rows against as many beside scipy: 5 features, each on its own, as scipy takes them."""

import numpy
import scipy.stats

import measure
from tidewheel_peers import two_sample as ours

ROWS, FEATURES = 1_000_000, 5


def make():
    """Normal float32 columns, of which the current ones are a little wider."""
    random = numpy.random.default_rng(1)
    reference = random.standard_normal((FEATURES, ROWS), dtype=numpy.float32)
    current = random.standard_normal((FEATURES, ROWS), dtype=numpy.float32) * numpy.float32(1.001)
    return reference, current


def each(function):
    return lambda inputs: [function(a, b) for a, b in zip(*inputs)]


measure.main([
    measure.Case("ks_1m_x_1m", make, {
        "ours": each(ours.kolmogorov_smirnov),
        "scipy": each(scipy.stats.ks_2samp),
    }, memory=("ours", "scipy")),
    measure.Case("wasserstein_1m_x_1m", make, {
        "ours": each(ours.wasserstein),
        "scipy": each(scipy.stats.wasserstein_distance),
    }, memory=("ours", "scipy")),
])
