#!/usr/bin/env python3
"""The unmodified public client of the Open Inference Protocol (tritonclient: gRPC, HTTP, and HTTP with asyncio) and an unmodified load
generator (ghz) against both fronts.

Ends with 77 when the client's environment is not there: ctest then says "skipped".
"""

import argparse
import asyncio
import base64
import json
import os
import pathlib
import queue
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.dont_write_bytecode = True
CACHE = pathlib.Path(os.environ.get("TIDEWHEEL_CACHE", os.path.expanduser("~/.cache/tidewheel")))
try:
    import tritonclient  # noqa: F401
except ImportError:
    python = CACHE / "clients-venv/bin/python"
    if python.exists() and "TIDEWHEEL_CLIENTS_AGAIN" not in os.environ:
        os.execve(python, [str(python), *sys.argv], dict(os.environ, TIDEWHEEL_CLIENTS_AGAIN="1"))
    print("skipped: no client of the protocol; ./tidewheel setup --test makes its environment")
    sys.exit(77)

import ml_dtypes  # noqa: E402
import numpy as np  # noqa: E402
import tritonclient.grpc as over_grpc  # noqa: E402
import tritonclient.http as over_http  # noqa: E402
import tritonclient.http.aio as over_http_aio  # noqa: E402
import tritonclient.utils.shared_memory as shared_memory  # noqa: E402
from tritonclient.utils import InferenceServerException, np_to_triton_dtype  # noqa: E402

ARGUMENTS = None
SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent


def text(*words):
    return np.array([word.encode() if isinstance(word, str) else word for word in words], dtype=np.object_)


# Of every datatype the smallest, the largest and what is easily lost.
VALUES = {
    "BOOL": np.array([True, False, True]),
    "UINT8": np.array([0, 1, 255], dtype=np.uint8),
    "UINT16": np.array([0, 1, 65535], dtype=np.uint16),
    "UINT32": np.array([0, 1, 4294967295], dtype=np.uint32),
    "UINT64": np.array([0, 9007199254740993, 18446744073709551615], dtype=np.uint64),
    "INT8": np.array([-128, 0, 127], dtype=np.int8),
    "INT16": np.array([-32768, 0, 32767], dtype=np.int16),
    "INT32": np.array([-2147483648, 0, 2147483647], dtype=np.int32),
    "INT64": np.array([-9223372036854775808, 9007199254740993, 9223372036854775807], dtype=np.int64),
    "FP16": np.array([-65504, 0.1, 6e-8], dtype=np.float16),
    "BF16": np.array([-1e38, 0.1, 1], dtype=ml_dtypes.bfloat16),
    "FP32": np.array([-3.4028235e38, 0.1, 1e-45], dtype=np.float32),
    "FP64": np.array([-1.7976931348623157e308, 0.1, 5e-324], dtype=np.float64),
    "BYTES": text("", "w\u00f6rter\n\"\\", "three"),
}
# The client does not write these as JSON.
BINARY_ALONE = ("FP16", "BF16")


class Served(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        for name, content in (("lazy/1/model.onnx", ""), ("wrong/1/model.onnx", "bad")):
            path = pathlib.Path(cls.folder.name, "models", name)
            path.parent.mkdir(parents=True)
            path.write_text(content)
        cls.server = subprocess.Popen([ARGUMENTS.server, os.path.join(cls.folder.name, "models")], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True)
        cls.addresses = json.loads(cls.server.stdout.readline())
        cls.grpc = over_grpc.InferenceServerClient(cls.addresses["grpc"])
        cls.http = over_http.InferenceServerClient(cls.addresses["http"], concurrency=4, network_timeout=120, connection_timeout=120)
        cls.both = ((over_grpc, cls.grpc), (over_http, cls.http))

    @classmethod
    def tearDownClass(cls):
        cls.grpc.close()
        cls.http.close()
        cls.server.stdin.close()
        status = cls.server.wait(timeout=120)
        cls.server.stdout.close()
        cls.folder.cleanup()
        if status != 0:
            raise AssertionError(f"the server ended with {status}")

    @staticmethod
    def input(protocol, name, values, **how):
        tensor = protocol.InferInput(name, values.shape, np_to_triton_dtype(values.dtype))
        tensor.set_data_from_numpy(values, **how)
        return tensor

    def refused(self, words, function, *arguments, **named):
        with self.assertRaises(InferenceServerException) as caught:
            function(*arguments, **named)
        self.assertIn(words, str(caught.exception))
        return caught.exception


class AboutTheServer(Served):
    def test_health(self):
        for protocol, client in self.both:
            with self.subTest(protocol=protocol.__name__):
                self.assertTrue(client.is_server_live())
                self.assertTrue(client.is_server_ready())
                self.assertTrue(client.is_model_ready("pair"))
                self.assertTrue(client.is_model_ready("pair", "1"))
        self.assertFalse(self.http.is_model_ready("nobody"))
        self.refused("nobody", self.grpc.is_model_ready, "nobody")

    def test_server_metadata(self):
        http = self.http.get_server_metadata()
        grpc = self.grpc.get_server_metadata(as_json=True)
        self.assertEqual(http["name"], "tidewheel")
        self.assertEqual(http["name"], grpc["name"])
        self.assertEqual(http["extensions"], grpc["extensions"])
        self.assertIn("binary_tensor_data", http["extensions"])

    def test_model_metadata_and_configuration(self):
        for protocol, client in self.both:
            with self.subTest(protocol=protocol.__name__):
                as_json = {"as_json": True} if protocol is over_grpc else {}
                metadata = client.get_model_metadata("pair", **as_json)
                self.assertEqual(metadata["versions"], ["1"])
                self.assertEqual([(put["name"], put["datatype"], [int(size) for size in put["shape"]]) for put in metadata["inputs"]],
                                 [("x", "FP32", [-1, -1]), ("x1", "BYTES", [-1, -1])])
                config = client.get_model_config("pair", **as_json)
                config = config.get("config", config)
                self.assertEqual(config["name"], "pair")
                self.assertEqual(config["max_batch_size"], 64)
                self.assertEqual([put["data_type"] for put in config["input"]], ["TYPE_FP32", "TYPE_STRING"])
                error = self.refused("nobody", client.get_model_metadata, "nobody")
                self.assertIn("404" if protocol is over_http else "NOT_FOUND", error.status())

    def test_statistics(self):
        for protocol, client in self.both:
            with self.subTest(protocol=protocol.__name__):
                as_json = {"as_json": True} if protocol is over_grpc else {}

                def count():
                    stats = client.get_inference_statistics("identity_int8", "1", **as_json)["model_stats"][0]
                    return int(stats.get("inference_count", 0)), int(stats["inference_stats"]["success"].get("count", 0))

                before = count()
                values = np.zeros((3, 2), np.int8)
                client.infer("identity_int8", [self.input(protocol, "x", values)])
                self.assertEqual(count(), (before[0] + 3, before[1] + 1))
                everything = client.get_inference_statistics(**as_json)["model_stats"]
                self.assertGreater(len(everything), 10)

    def test_repository(self):
        for protocol, client in self.both:
            with self.subTest(protocol=protocol.__name__):
                as_json = {"as_json": True} if protocol is over_grpc else {}

                def states():
                    index = client.get_model_repository_index(**as_json)
                    index = index.get("models", []) if isinstance(index, dict) else index
                    return {model["name"]: model.get("state") for model in index}

                self.assertEqual(states()["pair"], "READY")
                self.assertNotEqual(states()["lazy"], "READY")
                client.load_model("lazy")
                self.assertEqual(states()["lazy"], "READY")
                self.assertTrue(client.is_model_ready("lazy"))
                client.unload_model("lazy")
                self.assertFalse(client.is_model_ready("lazy"))
                self.refused("Frobnicate", client.load_model, "wrong")
                self.refused("nobody", client.load_model, "nobody")
                config = json.dumps({"max_batch_size": 4, "input": [{"name": "x", "data_type": "TYPE_FP32", "dims": [-1]}],
                                     "output": [{"name": "y", "data_type": "TYPE_FP32", "dims": [-1]}]})
                client.load_model("brought", config=config, files={"file:3/model.onnx": b"any bytes\0\xff"})
                values = np.ones((1, 2), np.float32)
                answer = client.infer("brought", [self.input(protocol, "x", values)], model_version="3")
                np.testing.assert_array_equal(answer.as_numpy("y"), values)
                client.unload_model("brought")

    def test_what_is_not_offered_is_refused(self):
        for protocol, client in self.both:
            with self.subTest(protocol=protocol.__name__):
                self.refused("", client.get_trace_settings)
                self.refused("", client.get_log_settings)
                self.refused("", client.register_cuda_shared_memory, "a", base64.b64encode(bytes(64)), 0, 64)


class Inference(Served):
    def same(self, answer, name, values):
        got = answer.as_numpy(name)
        self.assertEqual(got.shape, values.shape)
        if values.dtype == np.object_:
            self.assertEqual([item if isinstance(item, bytes) else item.encode() for item in got.ravel()], list(values.ravel()))
        else:
            self.assertEqual(got.dtype, values.dtype)
            self.assertEqual(got.tobytes(), values.tobytes())

    def test_every_datatype_in_binary_form(self):
        for protocol, client in self.both:
            with self.subTest(protocol=protocol.__name__):
                for datatype, values in VALUES.items():
                    with self.subTest(datatype=datatype):
                        values = np.stack([values, values[::-1]])
                        tensor = protocol.InferInput("x", values.shape, datatype)
                        tensor.set_data_from_numpy(values)
                        answer = client.infer("identity_" + datatype.lower(), [tensor], request_id="r1")
                        self.same(answer, "y", values)
                        head = answer.get_response()
                        self.assertEqual(head["id"] if protocol is over_http else head.id, "r1")

    def test_every_datatype_as_json(self):
        for datatype, values in VALUES.items():
            for binary_in, binary_out in ((False, False), (False, True), (True, False)):
                if datatype in BINARY_ALONE and not binary_in:
                    continue
                with self.subTest(datatype=datatype, binary_in=binary_in, binary_out=binary_out):
                    values_in = values.reshape(1, -1)
                    tensor = over_http.InferInput("x", values_in.shape, datatype)
                    tensor.set_data_from_numpy(values_in, binary_data=binary_in)
                    wanted = over_http.InferRequestedOutput("y", binary_data=binary_out)
                    answer = self.http.infer("identity_" + datatype.lower(), [tensor], outputs=[wanted])
                    self.same(answer, "y", values_in)

    def test_what_is_no_number_as_json(self):
        values = np.array([[np.nan, np.inf, -np.inf, -0.0]], np.float32)
        wanted = over_http.InferRequestedOutput("y", binary_data=False)
        answer = self.http.infer("identity_fp32", [self.input(over_http, "x", values)], outputs=[wanted])
        np.testing.assert_array_equal(answer.as_numpy("y"), values)

    def test_bytes_that_are_no_text(self):
        values = np.array([[b"\xff\0\xfe"]], dtype=np.object_)
        for protocol, client in self.both:
            with self.subTest(protocol=protocol.__name__):
                self.same(client.infer("identity_bytes", [self.input(protocol, "x", values)]), "y", values)
        wanted = over_http.InferRequestedOutput("y", binary_data=False)
        self.refused("binary_data", self.http.infer, "identity_bytes", [self.input(over_http, "x", values)], outputs=[wanted])

    def test_several_tensors_and_chosen_outputs(self):
        numbers = np.arange(6, dtype=np.float32).reshape(2, 3)
        words = text("a", "bb", "ccc", "", "e", "f").reshape(2, 3)
        for protocol, client in self.both:
            with self.subTest(protocol=protocol.__name__):
                # In another order than the model's.
                inputs = [self.input(protocol, "x1", words), self.input(protocol, "x", numbers)]
                answer = client.infer("pair", inputs)
                self.same(answer, "y", numbers)
                self.same(answer, "y1", words)
                answer = client.infer("pair", inputs, outputs=[protocol.InferRequestedOutput("y1")])
                self.same(answer, "y1", words)
                self.assertIsNone(answer.as_numpy("y"))

    def test_errors_name_what_is_wrong(self):
        for protocol, client in self.both:
            with self.subTest(protocol=protocol.__name__):
                good = self.input(protocol, "x", np.zeros((1, 2), np.float32))
                self.refused("nobody", client.infer, "nobody", [good])
                self.refused("9", client.infer, "identity_fp32", [good], model_version="9")
                self.refused("INT32", client.infer, "identity_fp32", [self.input(protocol, "x", np.zeros((1, 2), np.int32))])
                self.refused("[1,2,3]", client.infer, "identity_fp32", [self.input(protocol, "x", np.zeros((1, 2, 3), np.float32))])
                self.refused("\"z\"", client.infer, "identity_fp32", [self.input(protocol, "z", np.zeros((1, 2), np.float32))])
                self.refused("65", client.infer, "identity_fp32", [self.input(protocol, "x", np.zeros((65, 2), np.float32))])
                self.refused("\"w\"", client.infer, "identity_fp32", [good], outputs=[protocol.InferRequestedOutput("w")])
                self.refused("class", client.infer, "identity_fp32", [good], outputs=[protocol.InferRequestedOutput("y", class_count=2)])

    def test_parameters(self):
        for protocol, client in self.both:
            with self.subTest(protocol=protocol.__name__):
                values = np.ones((1, 2), np.float32)
                answer = client.infer("identity_fp32", [self.input(protocol, "x", values)], priority=1, timeout=60_000_000,
                                      sequence_id=7, sequence_start=True, headers={"traceparent": "00-" + "ab" * 16 + "-" + "cd" * 8 + "-01"},
                                      parameters={"colour": "red", "count": 3, "deep": True, "share": 0.5})
                self.same(answer, "y", values)

    def test_large_tensors(self):
        values = np.random.default_rng(5).random((4, 1_000_000), np.float32)
        for protocol, client in self.both:
            with self.subTest(protocol=protocol.__name__):
                self.same(client.infer("identity_fp32", [self.input(protocol, "x", values)]), "y", values)

    def test_packed_bodies(self):
        values = np.arange(10_000, dtype=np.int32).reshape(1, -1)
        for packing in ("gzip", "deflate"):
            for binary in (True, False):
                with self.subTest(packing=packing, binary=binary):
                    wanted = over_http.InferRequestedOutput("y", binary_data=binary)
                    answer = self.http.infer("identity_int32", [self.input(over_http, "x", values, binary_data=binary)], outputs=[wanted],
                                             request_compression_algorithm=packing, response_compression_algorithm=packing)
                    self.same(answer, "y", values)
            answer = self.grpc.infer("identity_int32", [self.input(over_grpc, "x", values)], compression_algorithm=packing)
            self.same(answer, "y", values)

    def test_many_at_once(self):
        def values(number):
            return np.full((1, 8), number, np.float32)

        under_way = [self.http.async_infer("identity_fp32", [self.input(over_http, "x", values(number))]) for number in range(64)]
        for number, answer in enumerate(under_way):
            self.same(answer.get_result(timeout=120), "y", values(number))
        answers = queue.Queue()
        for number in range(64):
            self.grpc.async_infer("identity_fp32", [self.input(over_grpc, "x", values(number))], request_id=str(number),
                                  callback=lambda result, error: answers.put((result, error)))
        for _ in range(64):
            result, error = answers.get(timeout=120)
            self.assertIsNone(error)
            self.same(result, "y", values(int(result.get_response().id)))

    def test_asyncio(self):
        async def ask():
            async with over_http_aio.InferenceServerClient(self.addresses["http"]) as client:
                values = np.arange(4, dtype=np.float64).reshape(1, -1)
                answers = await asyncio.gather(*(client.infer("identity_fp64", [self.input(over_http_aio, "x", values + i)]) for i in range(20)))
                for i, answer in enumerate(answers):
                    self.same(answer, "y", values + i)
                self.assertTrue(await client.is_server_ready())

        asyncio.run(ask())

    def test_streams(self):
        answers = queue.Queue()
        with over_grpc.InferenceServerClient(self.addresses["grpc"]) as client:
            client.start_stream(lambda result, error: answers.put((result, error)))
            for number in range(50):
                model = "identity_fp32" if number % 10 else "nobody"
                client.async_stream_infer(model, [self.input(over_grpc, "x", np.full((1, 2), number, np.float32))], request_id=str(number))
            good, bad = {}, 0
            for _ in range(50):
                result, error = answers.get(timeout=120)
                if error is not None:
                    self.assertIn("nobody", str(error))
                    bad += 1
                else:
                    good[int(result.get_response().id)] = result.as_numpy("y")[0, 0]
            client.stop_stream()
        self.assertEqual(bad, 5)
        self.assertEqual(good, {number: float(number) for number in range(50) if number % 10})

    def test_clients_that_give_up(self):
        values = np.zeros((1, 2), np.float32)
        self.refused("Deadline", self.grpc.infer, "slow", [self.input(over_grpc, "x", values)], client_timeout=0.01)
        impatient = over_http.InferenceServerClient(self.addresses["http"], network_timeout=0.01)
        with self.assertRaises(Exception):
            impatient.infer("slow", [self.input(over_http, "x", values)])
        impatient.close()
        self.assertTrue(self.http.is_server_ready())

    def test_shared_memory(self):
        numbers = np.arange(8, dtype=np.float32).reshape(2, 4)
        for protocol, client in self.both:
            with self.subTest(protocol=protocol.__name__):
                client.unregister_system_shared_memory()
                key = f"/tests_clients_{os.getpid()}_{protocol.__name__}"
                region = shared_memory.create_shared_memory_region("frames", key, 2 * numbers.nbytes)
                try:
                    shared_memory.set_shared_memory_region(region, [numbers])
                    client.register_system_shared_memory("frames", key, 2 * numbers.nbytes)
                    self.refused("frames", client.register_system_shared_memory, "frames", key, 2 * numbers.nbytes)
                    status = client.get_system_shared_memory_status(**({"as_json": True} if protocol is over_grpc else {}))
                    names = status["regions"] if protocol is over_grpc else [item["name"] for item in status]
                    self.assertEqual(list(names), ["frames"])
                    tensor = protocol.InferInput("x", numbers.shape, "FP32")
                    tensor.set_shared_memory("frames", numbers.nbytes)
                    wanted = protocol.InferRequestedOutput("y")
                    wanted.set_shared_memory("frames", numbers.nbytes, offset=numbers.nbytes)
                    answer = client.infer("identity_fp32", [tensor], outputs=[wanted])
                    self.assertIsNotNone(answer.get_output("y"))
                    got = shared_memory.get_contents_as_numpy(region, np.float32, [2, 4], offset=numbers.nbytes)
                    np.testing.assert_array_equal(got, numbers)
                    tensor.set_shared_memory("frames", 2 * numbers.nbytes + 1)
                    self.refused("frames", client.infer, "identity_fp32", [tensor])
                    client.unregister_system_shared_memory("frames")
                    tensor.set_shared_memory("frames", numbers.nbytes)
                    self.refused("frames", client.infer, "identity_fp32", [tensor])
                finally:
                    shared_memory.destroy_shared_memory_region(region)


class LoadGenerator(Served):
    """ghz as it is: a sweep of how many calls are outstanding, no call may fail."""

    def test_sweep(self):
        program = CACHE / "ghz" / "ghz"
        if not program.exists():
            self.skipTest("no ghz; ./tidewheel setup --test builds it where there is a new enough Go")
        request = {"model_name": "identity_fp32", "inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4],
                                                              "contents": {"fp32_contents": [1, 2, 3, 4]}}]}
        for outstanding in (1, 8, 64):
            with self.subTest(outstanding=outstanding):
                done = subprocess.run(
                    [program, "--insecure", "--proto", "inference/grpc_service.proto", "--import-paths", SOURCE / "proto",
                     "--call", "inference.GRPCInferenceService/ModelInfer", "--total", "2000", "--concurrency", str(outstanding),
                     "--connections", str(min(outstanding, 4)), "--timeout", "60s", "--data", json.dumps(request), "--format", "json",
                     self.addresses["grpc"]], capture_output=True, text=True, timeout=300)
                self.assertEqual(done.returncode, 0, done.stderr)
                report = json.loads(done.stdout)
                self.assertEqual(report["statusCodeDistribution"], {"OK": 2000})
                print(f"ghz, {outstanding} outstanding: {report['rps']:.0f} calls a second", file=sys.stderr)

    def test_reflection(self):
        program = CACHE / "ghz" / "ghz"
        if not program.exists():
            self.skipTest("no ghz; ./tidewheel setup --test builds it where there is a new enough Go")
        done = subprocess.run([program, "--insecure", "--call", "inference.GRPCInferenceService/ServerReady", "--total", "10",
                               "--data", "{}", "--format", "json", self.addresses["grpc"]], capture_output=True, text=True, timeout=300)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout)["statusCodeDistribution"], {"OK": 10})


class Together(Served):
    def test_both_fronts_at_once_from_many_threads(self):
        wrong = []

        def ask(protocol, address, number):
            client = protocol.InferenceServerClient(address)
            for i in range(50):
                values = np.full((1, 4), number * 1000 + i, np.float32)
                got = client.infer("identity_fp32", [self.input(protocol, "x", values)]).as_numpy("y")
                if not np.array_equal(got, values):
                    wrong.append((number, i))
            client.close()

        threads = [threading.Thread(target=ask, args=(over_grpc, self.addresses["grpc"], number)) for number in range(4)]
        for thread in threads:
            thread.start()
        for number in range(4, 8):  # The client over HTTP belongs to one thread.
            ask(over_http, self.addresses["http"], number)
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])


def field(number, value):
    """A field of a protocol buffer message: a whole number, or bytes with their length."""

    def whole(n):
        out = bytearray()
        while n > 127:
            out.append(n & 127 | 128)
            n >>= 7
        return bytes(out) + bytes([n])

    if isinstance(value, int):
        return whole(number << 3) + whole(value)
    value = value.encode() if isinstance(value, str) else value
    return whole(number << 3 | 2) + whole(len(value)) + value


def onnx_of_sum(element_type):
    """y = x + x, for x of n rows and 4 columns, as an ONNX file: ModelProto written field by field."""
    shape = field(1, field(2, "n")) + field(1, field(1, 4))
    kind = field(1, field(1, element_type) + field(2, shape))
    node = field(1, "x") + field(1, "x") + field(2, "y") + field(3, "sum") + field(4, "Add")
    graph = field(1, node) + field(2, "twice") + field(11, field(1, "x") + field(2, kind)) + field(12, field(1, "y") + field(2, kind))
    return field(1, 8) + field(7, graph) + field(8, field(1, "") + field(2, 13))


class RealServer(unittest.TestCase):
    """The server as it is started by people, with ONNX files."""

    @classmethod
    def setUpClass(cls):
        if not ARGUMENTS.executable or "--model-repository" not in subprocess.run(
                [ARGUMENTS.executable, "--help"], capture_output=True, text=True, timeout=60).stdout:
            raise unittest.SkipTest("no server that serves a folder of models")
        cls.folder = tempfile.TemporaryDirectory()
        for name, element_type in (("twice_fp32", 1), ("twice_int64", 7)):
            path = pathlib.Path(cls.folder.name, "models", name, "1", "model.onnx")
            path.parent.mkdir(parents=True)
            path.write_bytes(onnx_of_sum(element_type))
        ready = pathlib.Path(cls.folder.name, "ready")
        cls.log = open(pathlib.Path(cls.folder.name, "log"), "w+")  # noqa: SIM115
        cls.server = subprocess.Popen([ARGUMENTS.executable, "--model-repository", os.path.join(cls.folder.name, "models"),
                                       "--model-control-mode", "explicit", "--load-model", "*", "--grpc-port", "0", "--http-port", "0",
                                       "--metrics-port", "0", "--ready-file", str(ready)], stdout=subprocess.DEVNULL, stderr=cls.log)
        deadline = time.monotonic() + 120
        while not ready.exists():
            if cls.server.poll() is not None or time.monotonic() > deadline:
                cls.server.kill()
                cls.log.seek(0)
                raise AssertionError("the server did not start: " + cls.log.read())
            time.sleep(0.02)
        cls.addresses = json.loads(ready.read_text())
        cls.addresses = cls.addresses.get("addresses", cls.addresses)

    @classmethod
    def tearDownClass(cls):
        cls.server.terminate()
        status = cls.server.wait(timeout=120)
        cls.log.close()
        cls.folder.cleanup()
        if status != 0:
            raise AssertionError(f"the server ended with {status}")

    def test_models_that_are_files(self):
        for protocol, address in ((over_grpc, self.addresses["grpc"]), (over_http, self.addresses["http"])):
            with self.subTest(protocol=protocol.__name__), protocol.InferenceServerClient(address) as client:
                self.assertTrue(client.is_server_ready())
                for name, kind in (("twice_fp32", np.float32), ("twice_int64", np.int64)):
                    values = np.arange(12).reshape(3, 4).astype(kind)
                    answer = client.infer(name, [Served.input(protocol, "x", values)])
                    np.testing.assert_array_equal(answer.as_numpy("y"), values * 2)
                    self.assertEqual(answer.as_numpy("y").dtype, kind)
                with self.assertRaises(InferenceServerException) as caught:
                    client.infer("twice_fp32", [Served.input(protocol, "x", np.zeros((1, 5), np.float32))])
                self.assertIn("[1,5]", str(caught.exception))
                client.unload_model("twice_int64")
                self.assertFalse(client.is_model_ready("twice_int64"))
                client.load_model("twice_int64")
                self.assertTrue(client.is_model_ready("twice_int64"))
                as_json = {"as_json": True} if protocol is over_grpc else {}
                stats = client.get_inference_statistics("twice_fp32", **as_json)["model_stats"][0]
                self.assertGreaterEqual(int(stats["inference_count"]), 3)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True, help="the program of serve_models.cc")
    parser.add_argument("--executable", help="tidewheel-inference")
    ARGUMENTS, rest = parser.parse_known_args()
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)
