"""ONNX files that others wrote, with random weights, on our engine and on onnxruntime; and ours, in float32 and in 8 bits, on theirs."""
import warnings

import numpy
import onnx
import onnxruntime
import skl2onnx
import sklearn.ensemble
import sklearn.linear_model
import sklearn.neural_network
import sklearn.pipeline
import sklearn.preprocessing
from onnx import TensorProto, helper, numpy_helper

import compare
from tidewheel_peers import engine as ours

# In the order of serving::ElementType.
TYPES = ["?", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", None, "f4", "f8", "text"]
OTHERS, OWN = 1e-4, 1e-5


def texts(data, count):
    found = []
    while data:
        size = int.from_bytes(data[:4], "little")
        found.append(data[4:4 + size].decode())
        data = data[4 + size:]
    assert len(found) == count
    return found


def run_ours(model, feeds):
    graph = ours.Graph(model)
    answers = []
    for place, shape, data in graph.run([numpy.ascontiguousarray(feeds[name]) for name, _, _ in graph.inputs]):
        if TYPES[place] == "text":
            answers.append(numpy.array(texts(data, int(numpy.prod(shape))), dtype=object).reshape(shape))
        else:
            answers.append(numpy.frombuffer(data, dtype=TYPES[place]).reshape(shape))
    return answers


def session(model):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


class Net:
    """A graph written node by node, as exporters write them."""

    def __init__(self, seed):
        self.random = numpy.random.default_rng(seed)
        self.nodes, self.weights = [], []

    def weight(self, *shape, scale=None, plus=0.0):
        fan_in = int(numpy.prod(shape[1:])) or 1
        array = self.random.normal(size=shape) * (scale if scale is not None else (2.0 / fan_in) ** 0.5) + plus
        return self.constant(array.astype(numpy.float32))

    def constant(self, array):
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(numpy.asarray(array), name))
        return name

    def add(self, op, *inputs, **attributes):
        name = f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], **attributes))
        return name

    def conv(self, x, inputs, outputs, kernel, stride=1, group=1):
        pad = kernel // 2
        y = self.add("Conv", x, self.weight(outputs, inputs // group, kernel, kernel), kernel_shape=[kernel] * 2, strides=[stride] * 2,
                     pads=[pad] * 4, group=group)
        return self.add("BatchNormalization", y, self.weight(outputs, scale=0.1, plus=1), self.weight(outputs, scale=0.1),
                        self.weight(outputs, scale=0.1), self.constant(self.random.uniform(0.5, 1.5, outputs).astype(numpy.float32)))

    def bytes(self, inputs, outputs, opset=13):
        graph = helper.make_graph(self.nodes, "net", [helper.make_tensor_value_info(*one) for one in inputs],
                                  [helper.make_tensor_value_info(*one) for one in outputs], self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
        onnx.checker.check_model(model)
        return model.SerializeToString()


def resnet(seed):
    net = Net(seed)
    x = net.add("Relu", net.conv("image", 3, 16, 7, 2))
    x = net.add("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    width = 16
    for stage, outputs in enumerate((16, 32, 64, 128)):
        for block in range(2):
            stride = 2 if stage > 0 and block == 0 else 1
            y = net.add("Relu", net.conv(x, width, outputs, 3, stride))
            y = net.conv(y, outputs, outputs, 3)
            if stride != 1 or width != outputs:
                x = net.conv(x, width, outputs, 1, stride)
            x, width = net.add("Relu", net.add("Add", x, y)), outputs
    x = net.add("Flatten", net.add("GlobalAveragePool", x))
    y = net.add("Gemm", x, net.weight(10, width), net.weight(10, scale=0.1), transB=1)
    return net.bytes([("image", TensorProto.FLOAT, ["batch", 3, 64, 64])], [(y, TensorProto.FLOAT, ["batch", 10])])


def mobilenet(seed):
    net = Net(seed)
    low, high = net.constant(numpy.float32(0)), net.constant(numpy.float32(6))
    x, width = net.add("Clip", net.conv("image", 3, 16, 3, 2), low, high), 16
    for outputs, stride, squeeze in ((16, 1, False), (24, 2, False), (24, 1, True), (40, 2, True), (40, 1, True)):
        y = net.add("Clip", net.conv(x, width, width * 4, 1), low, high)
        y = net.add("HardSwish", net.conv(y, width * 4, width * 4, 3, stride, width * 4))
        if squeeze:
            s = net.add("ReduceMean", y, axes=[2, 3], keepdims=1)
            s = net.add("Relu", net.add("Conv", s, net.weight(width, width * 4, 1, 1)))
            y = net.add("Mul", y, net.add("HardSigmoid", net.add("Conv", s, net.weight(width * 4, width, 1, 1)), alpha=1 / 6, beta=0.5))
        y = net.conv(y, width * 4, outputs, 1)
        x, width = net.add("Add", x, y) if stride == 1 and width == outputs else y, outputs
    x = net.add("Flatten", net.add("AveragePool", x, kernel_shape=[6, 6]))
    y = net.add("Softmax", net.add("Gemm", x, net.weight(width, 10, scale=0.3), net.weight(10, scale=0.1)), axis=1)
    return net.bytes([("image", TensorProto.FLOAT, ["", 3, 48, 48])], [(y, TensorProto.FLOAT, ["", 10])], opset=14)


def text_net(seed):
    """Embeddings, one block of attention with a mask, a recurrent layer, and the mean over what is no padding."""
    net, width, heads, words = Net(seed), 32, 4, 100
    x = net.add("Gather", net.weight(words, width, scale=0.5), "ids")
    mask = net.add("Cast", "mask", to=TensorProto.FLOAT)
    hidden = net.add("Mul", net.add("Sub", net.constant(numpy.float32(1)), mask), net.constant(numpy.float32(-10000)))
    hidden = net.add("Unsqueeze", hidden, net.constant(numpy.array([1, 2])))

    def split(name, order):
        shape = net.add("Concat", net.add("Slice", net.add("Shape", "ids"), net.constant(numpy.array([0])), net.constant(numpy.array([2]))),
                        net.constant(numpy.array([heads, width // heads])), axis=0)
        projected = net.add("Add", net.add("MatMul", x, net.weight(width, width)), net.weight(width, scale=0.1))
        return net.add("Transpose", net.add("Reshape", projected, shape), perm=order, name=name)

    def norm(y):
        mean = net.add("ReduceMean", y, axes=[-1])
        away = net.add("Sub", y, mean)
        spread = net.add("ReduceMean", net.add("Pow", away, net.constant(numpy.float32(2))), axes=[-1])
        scaled = net.add("Div", away, net.add("Sqrt", net.add("Add", spread, net.constant(numpy.float32(1e-5)))))
        return net.add("Add", net.add("Mul", scaled, net.weight(width, scale=0.1, plus=1)), net.weight(width, scale=0.1))

    query, key, value = split("q", [0, 2, 1, 3]), split("k", [0, 2, 3, 1]), split("v", [0, 2, 1, 3])
    weights = net.add("Div", net.add("MatMul", query, key), net.constant(numpy.float32((width // heads) ** 0.5)))
    mixed = net.add("MatMul", net.add("Softmax", net.add("Add", weights, hidden), axis=-1), value)
    mixed = net.add("Reshape", net.add("Transpose", mixed, perm=[0, 2, 1, 3]), net.constant(numpy.array([0, 0, width])))
    y = norm(net.add("Add", x, mixed))
    wide = net.add("MatMul", y, net.weight(width, 2 * width))
    bell = net.add("Add", net.add("Erf", net.add("Div", wide, net.constant(numpy.float32(2**0.5)))), net.constant(numpy.float32(1)))
    wide = net.add("Mul", net.add("Mul", wide, bell), net.constant(numpy.float32(0.5)))
    y = norm(net.add("Add", y, net.add("MatMul", wide, net.weight(2 * width, width))))
    net.nodes.append(helper.make_node("GRU", [net.add("Transpose", y, perm=[1, 0, 2]), net.weight(1, 48, width), net.weight(1, 48, 16)],
                                      ["states"], hidden_size=16))
    y = net.add("Transpose", net.add("Squeeze", "states", net.constant(numpy.array([1]))), perm=[1, 0, 2])
    y = net.add("Mul", y, net.add("Unsqueeze", mask, net.constant(numpy.array([2]))))
    total = net.add("ReduceSum", y, net.constant(numpy.array([1])), keepdims=0)
    count = net.add("ReduceSum", mask, net.constant(numpy.array([1])), keepdims=1)
    y = net.add("Gemm", net.add("Div", total, count), net.weight(16, 3))
    ids = ["batch", "length"]
    return net.bytes([("ids", TensorProto.INT64, ids), ("mask", TensorProto.INT64, ids)], [(y, TensorProto.FLOAT, ["batch", 3])])


class EngineTest(compare.PeersTest):
    area = "engine"

    def near(self, model, feeds, tolerance, what):
        theirs = session(model).run(None, feeds)
        mine = run_ours(model, feeds)
        self.assertEqual(len(mine), len(theirs), what)
        for place, (one, other) in enumerate(zip(mine, theirs)):
            if other.dtype == object:
                self.assertEqual(one.tolist(), other.tolist(), f"{what}, output {place}")
            else:
                self.assertEqual(one.dtype, other.dtype, f"{what}, output {place}")
                self.assertLessEqual(compare.distance(one, other), tolerance, f"{what}, output {place}")

    def test_pictures(self):
        for name, make, side in (("resnet", resnet, 64), ("mobilenet", mobilenet, 48)):
            for seed in range(3):
                model = make(seed)
                self.assertTrue(ours.Graph(model).batches, name)
                for rows in (1, 5):
                    pictures = numpy.random.default_rng(seed).normal(size=(rows, 3, side, side)).astype(numpy.float32)
                    self.near(model, {"image": pictures}, OTHERS, f"{name}, seed {seed}, {rows} rows")

    def test_texts(self):
        for seed in range(3):
            model = text_net(seed)
            self.assertTrue(ours.Graph(model).batches)
            random = numpy.random.default_rng(seed)
            for rows, length in ((1, 1), (2, 7), (4, 30)):
                mask = (numpy.arange(length) < random.integers(1, length + 1, (rows, 1))).astype(numpy.int64)
                self.near(model, {"ids": random.integers(0, 100, (rows, length)), "mask": mask}, OTHERS, f"seed {seed}, {rows} x {length}")

    def test_pipelines(self):
        classifiers = {
            "logistic": sklearn.linear_model.LogisticRegression(),
            "forest": sklearn.ensemble.RandomForestClassifier(n_estimators=20, max_depth=6, random_state=1),
            "boosted": sklearn.ensemble.GradientBoostingClassifier(n_estimators=20, random_state=1),
            "neurons": sklearn.neural_network.MLPClassifier((16,), max_iter=20, random_state=1),
        }
        random = numpy.random.default_rng(3)
        rows = random.normal(size=(300, 6)).astype(numpy.float32)
        kinds = {"two": (rows[:, 0] + rows[:, 1] > 0).astype(int), "three": numpy.digitize(rows[:, 0] * rows[:, 1], [-0.3, 0.3])}
        kinds["words"] = numpy.array(["red", "yellow", "green"])[kinds["three"]]
        for name, classifier in classifiers.items():
            for kind, labels in kinds.items():
                pipeline = sklearn.pipeline.make_pipeline(sklearn.preprocessing.StandardScaler(), classifier)
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    pipeline.fit(rows, labels)
                    model = skl2onnx.to_onnx(pipeline, rows[:1], options={"zipmap": False}, target_opset=13).SerializeToString()
                # Half way between two trained values no rounding decides a branch.
                for count in (1, 50):
                    self.near(model, {"X": random.normal(size=(count, 6)).astype(numpy.float32)}, OTHERS, f"{name}, {kind}, {count} rows")

    def test_regressions(self):
        random = numpy.random.default_rng(4)
        rows = random.normal(size=(300, 5)).astype(numpy.float32)
        values = rows[:, 0] * 2 + rows[:, 1] ** 2
        for name, model in (("linear", sklearn.linear_model.LinearRegression()),
                            ("forest", sklearn.ensemble.RandomForestRegressor(n_estimators=10, max_depth=5, random_state=1)),
                            ("boosted", sklearn.ensemble.GradientBoostingRegressor(n_estimators=20, random_state=1))):
            written = skl2onnx.to_onnx(model.fit(rows, values), rows[:1], target_opset=13).SerializeToString()
            self.near(written, {"X": random.normal(size=(40, 5)).astype(numpy.float32)}, OTHERS, name)

    def test_our_recipes_are_the_same_there(self):
        for recipe in ours.recipes():
            for shape in ((1, 28, 28), (3, 32, 32)):
                model = ours.recipe(recipe, *shape, 10, 5)
                rows = numpy.random.default_rng(6).uniform(size=(9, *shape)).astype(numpy.float32)
                self.near(model, {"input": rows}, OWN, f"{recipe}, {shape}")

    def test_8_bits_load_there_and_give_nearly_the_same(self):
        for shape in ((1, 28, 28), (3, 32, 32)):
            wide = ours.recipe("image-cnn", *shape, 10, 5)
            rows = numpy.random.default_rng(7).uniform(size=(64, *shape)).astype(numpy.float32)
            narrow = ours.in_8_bits(wide, rows)
            onnx.checker.check_model(onnx.load_from_string(narrow), full_check=True)
            kinds = [node.op_type for node in onnx.load_from_string(narrow).graph.node]
            self.assertGreaterEqual(kinds.count("DequantizeLinear"), 4)
            exact = session(wide).run(None, {"input": rows})[0]
            theirs = session(narrow).run(None, {"input": rows})[0]
            mine = run_ours(narrow, {"input": rows})[0]
            self.assertLessEqual(compare.distance(theirs, exact), 0.01, f"theirs, {shape}")
            self.assertLessEqual(compare.distance(mine, exact), 0.01, f"ours, {shape}")
            self.assertLessEqual(compare.distance(mine, theirs), 0.005, f"both, {shape}")


if __name__ == "__main__":
    compare.main()
