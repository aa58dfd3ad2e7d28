"""Stream detectors beside river's, over the same errors of a steady rate. Ours takes the array in one call, river a value a call: that is how
each is used from Python; the C++ side without Python is streams_bench."""

import numpy
import river.drift
import river.drift.binary

import measure
from tidewheel_peers import streams as ours

SIZE = 1_000_000
TESTED = 10_000  # Of KSWIN, whose peer takes a fifth of a millisecond a value.


def errors(size, kind):
    """An array for ours, and for river a list of its own kind of number: converting them is no part of its work."""
    values = (numpy.random.default_rng(1).random(size) < 0.2).astype(numpy.float64)
    return values, [kind(value) for value in values]


def run(detector, values):
    drifts = 0
    for value in values:
        detector.update(value)
        drifts += detector.drift_detected
    return drifts


def case(name, size, kind, peer):
    return measure.Case(f"{name}_{size}", lambda: errors(size, kind), {
        "ours": lambda inputs: ours.count_drifts(name, inputs[0]),
        "river": measure.Side(lambda inputs: run(peer(), inputs[1]), repeats=3),
    })


measure.main([
    case("adwin", SIZE, float, river.drift.ADWIN),
    case("ddm", SIZE, bool, river.drift.binary.DDM),
    case("hddm_w", SIZE // 10, bool, river.drift.binary.HDDMW),
    case("page_hinkley", SIZE, float, river.drift.PageHinkley),
    case("kswin", TESTED, float, lambda: river.drift.KSWIN(seed=1)),
])
