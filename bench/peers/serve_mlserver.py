#!/usr/bin/env python3
"""serve_mlserver.py MODEL.onnx: MLServer with a custom runtime around onnxruntime (it brings none of its own) and the adaptive batching that its
documentation recommends for many small requests; inference in the server's own process, which is faster here than its workers."""

import json
import os
import pathlib
import sys
import tempfile

import serve

RUNTIME = '''
import numpy
import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse


class Runtime(MLModel):
    async def load(self):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(self.settings.parameters.uri, options, providers=["CPUExecutionProvider"])
        return True

    async def predict(self, payload):
        rows = NumpyCodec.decode_input(payload.inputs[0]).astype(numpy.float32)
        name = self.session.get_outputs()[0].name
        answer = self.session.run([name], {self.session.get_inputs()[0].name: rows})[0]
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output(name, answer)])
'''


def main():
    port = serve.free_port()
    with tempfile.TemporaryDirectory(prefix="tidewheel-mlserver-") as name:
        folder = pathlib.Path(name)
        (folder / "runtime.py").write_text(RUNTIME, encoding="utf-8")
        (folder / "settings.json").write_text(json.dumps({
            "host": "127.0.0.1", "http_port": serve.free_port(), "grpc_port": port, "metrics_port": serve.free_port(), "parallel_workers": 0,
            "debug": False, "logging_settings": None, "environments_dir": str(folder / "environments")}), encoding="utf-8")
        (folder / "model-settings.json").write_text(json.dumps({
            "name": "cnn_28", "implementation": "runtime.Runtime", "max_batch_size": 32, "max_batch_time": 0.001,
            "parameters": {"uri": os.path.abspath(sys.argv[1]), "version": "1"}}), encoding="utf-8")
        serve.run([str(pathlib.Path(sys.executable).parent / "mlserver"), "start", str(folder)], port, cwd=folder,
                  env=dict(os.environ, PYTHONPATH=str(folder), PATH=f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"))


main()
