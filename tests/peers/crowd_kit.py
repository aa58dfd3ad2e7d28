"""crowd-kit's classification models without the package's own front door, which also loads its models of text (transformers, pyarrow)."""

import importlib.util
import pathlib
import sys
import types

if "crowdkit.aggregation" not in sys.modules:
    _package = types.ModuleType("crowdkit.aggregation")
    _package.__path__ = [str(pathlib.Path(importlib.util.find_spec("crowdkit").origin).parent / "aggregation")]
    sys.modules["crowdkit.aggregation"] = _package

from crowdkit.aggregation.classification import (  # noqa: E402  pylint: disable=wrong-import-position
    GLAD, MACE, MMSR, DawidSkene, GoldMajorityVote, MajorityVote, OneCoinDawidSkene, Wawa, ZeroBasedSkill)

# Its agreement measure asks that package for one name.
sys.modules["crowdkit.aggregation"].MajorityVote = MajorityVote
from crowdkit.aggregation import base as _base  # noqa: E402  pylint: disable=wrong-import-position

sys.modules["crowdkit.aggregation"].base = _base
from crowdkit.metrics.data import alpha_krippendorff  # noqa: E402  pylint: disable=wrong-import-position

__all__ = ["GLAD", "MACE", "MMSR", "DawidSkene", "GoldMajorityVote", "MajorityVote", "OneCoinDawidSkene", "Wawa", "ZeroBasedSkill",
           "alpha_krippendorff", "votes"]


def votes(item, worker, label):
    """Three equally long arrays as the table crowd-kit reads."""
    import pandas

    return pandas.DataFrame({"task": item, "worker": worker, "label": label})
