#!/usr/bin/env python3
"""serve_torchserve.py MODEL.onnx: TorchServe with a handler of its own kind around onnxruntime, a worker a core and its batching, asked by its own
gRPC service, which takes a tensor as bytes (its Open Inference Protocol goes through JSON). Its workers ask whether an answer is a tensor of
torch and use nothing else of it, so an empty class stands in for the package."""

import json
import os
import pathlib
import shutil
import sys
import sysconfig
import tempfile

import serve

HANDLER = """
import os

import numpy
import onnxruntime


class Handler:
    def initialize(self, context):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        model = os.path.join(context.system_properties["model_dir"], "model.onnx")
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.given, self.answer = self.session.get_inputs()[0], self.session.get_outputs()[0].name

    def handle(self, data, context):
        rows = numpy.stack([numpy.frombuffer(each["input"], numpy.float32).reshape(self.given.shape[1:]) for each in data])
        return [row.tobytes() for row in self.session.run([self.answer], {self.given.name: rows})[0]]
"""
MODEL = {"minWorkers": os.cpu_count(), "maxWorkers": os.cpu_count(), "batchSize": 8, "maxBatchDelay": 1}


def write_model(folder, onnx):
    (folder / "MAR-INF").mkdir(parents=True)
    (folder / "MAR-INF/MANIFEST.json").write_text(json.dumps({
        "runtime": "python", "model": {"modelName": "cnn_28", "modelVersion": "1.0", "handler": "handler.py", "configFile": "model-config.yaml"},
        "archiverVersion": "0.12.0"}), encoding="utf-8")
    (folder / "model-config.yaml").write_text("".join(f"{key}: {value}\n" for key, value in MODEL.items()), encoding="utf-8")
    (folder / "handler.py").write_text(HANDLER, encoding="utf-8")
    (folder / "torch.py").write_text("class Tensor:\n    pass\n", encoding="utf-8")
    shutil.copy(onnx, folder / "model.onnx")


def predicts(channel):
    """A row of zeros, as PredictionsRequest has it: model_name = 1, input = 3."""
    row = serve.field(3, serve.field(1, b"input") + serve.field(2, bytes(4 * 28 * 28)))
    return bool(channel.unary_unary("/org.pytorch.serve.grpc.inference.InferenceAPIsService/Predictions")(serve.field(1, b"cnn_28") + row, timeout=10))


def main():
    port = serve.free_port()
    scripts = pathlib.Path(sys.executable).parent
    with tempfile.TemporaryDirectory(prefix="tidewheel-torchserve-") as name:
        folder = pathlib.Path(name)
        write_model(folder / "store/cnn_28", sys.argv[1])
        addresses = {kind: f"http://127.0.0.1:{serve.free_port()}" for kind in ("inference", "management", "metrics")}
        (folder / "config.properties").write_text("".join(f"{kind}_address={address}\n" for kind, address in addresses.items()) + (
            f"grpc_inference_address=127.0.0.1\ngrpc_inference_port={port}\n"
            f"grpc_management_address=127.0.0.1\ngrpc_management_port={serve.free_port()}\n"
            "disable_token_authorization=true\ninstall_py_dep_per_model=false\njob_queue_size=1000\n"), encoding="utf-8")
        (folder / "log4j2.xml").write_text('<Configuration><Loggers><Root level="error"/></Loggers></Configuration>', encoding="utf-8")
        home = pathlib.Path(sysconfig.get_path("purelib")) / "ts"
        # What the program "torchserve" starts and does not end.
        serve.run(["java", f"-Dmodel_server_home={home.parent}", f"-Dlog4j.configurationFile=file://{folder}/log4j2.xml", f"-Djava.io.tmpdir={folder}",
                   "-cp", f".:{home}/frontend/*", "org.pytorch.serve.ModelServer", "--python", sys.executable, "-f", str(folder / "config.properties"),
                   "-s", str(folder / "store"), "-ncs", "-m", "cnn_28"], port, predicts, cwd=folder,
                  env=dict(os.environ, LOG_LOCATION=name, METRICS_LOCATION=name, PATH=f"{scripts}:{os.environ['PATH']}"))


main()
