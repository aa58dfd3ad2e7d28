"""Array files as numpy writes them, beside numpy's own reading: every type, byte order, layout and version of the format."""
import io
import pathlib
import tempfile

import numpy

import compare
from tidewheel_peers import npy as ours

TYPES = ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"]
SHAPES = [(), (1,), (7,), (0,), (0, 3), (3, 0), (5, 4), (1, 9), (33, 65), (2, 3, 4), (3, 1, 2, 5)]


class NpyTest(compare.PeersTest):
    area = "npy"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.path = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory())) / "array.npy"

    def save(self, array, version):
        stream = io.BytesIO()
        numpy.lib.format.write_array(stream, array, version=version)
        self.path.write_bytes(stream.getvalue())

    def test_every_type_order_layout_and_version_is_read_as_numpy_reads_it(self):
        for seed in compare.SEEDS:
            random = numpy.random.default_rng(seed)
            for code in TYPES:
                for shape in SHAPES:
                    # Small enough to be whole in every type; floats get halves, which int32 must refuse.
                    values = random.integers(0, 2 if code == "?" else 100, shape)
                    array = numpy.asarray(values).astype(random.choice(["<", ">"]) + code if code != "?" else "?")
                    if random.random() < 0.5:
                        array = numpy.asfortranarray(array)
                    what = f"seed {seed}, {array.dtype}, {array.shape}, {array.flags.f_contiguous}"
                    self.save(array, ((1, 0), (2, 0), (3, 0))[seed % 3])
                    theirs = numpy.load(self.path)

                    doubles, copied = ours.doubles(str(self.path))
                    self.assertEqual(doubles.shape, theirs.shape, what)
                    self.agree(doubles, theirs, what, 0)
                    if array.dtype == numpy.dtype("<f8") and array.flags.c_contiguous:
                        self.assertFalse(copied, what)
                    self.agree(ours.integers(str(self.path))[0], theirs, what, 0)
                    if code in ("?", "i1", "i2", "u1", "u2", "f2", "f4"):
                        self.agree(ours.floats(str(self.path))[0], theirs.astype("f4"), what, 0)

    def test_every_half_is_read_exactly(self):
        self.save(numpy.arange(65536, dtype=numpy.uint16).view(numpy.float16), (1, 0))
        self.agree(ours.floats(str(self.path))[0], numpy.load(self.path).astype("f4"), "all halves", 0)

    def test_large_integers_keep_every_digit_or_are_refused(self):
        for seed in compare.SEEDS:
            random = numpy.random.default_rng(seed)
            array = random.integers(-2**63, 2**63 - 1, 50, dtype=numpy.int64) >> random.integers(0, 60, 50)
            for value in array:
                self.save(numpy.array([value]), (1, 0))
                if int(float(value)) == int(value):
                    self.agree(ours.doubles(str(self.path))[0], [float(value)], str(value), 0)
                else:
                    self.refused(str(value), ours.doubles, str(self.path))

    def test_what_numpy_cannot_have_in_int32_is_refused(self):
        for value in (0.5, numpy.nan, numpy.inf, 2.0**31, -2.0**31 - 1):
            self.save(numpy.array([1.0, value]), (1, 0))
            self.refused("value 1", ours.integers, str(self.path))
        for type_name in ("<U3", "<c16", "<M8[s]", "V4"):
            self.save(numpy.zeros(2, type_name), (1, 0))
            self.refused("is not read", ours.doubles, str(self.path))


if __name__ == "__main__":
    compare.main()
