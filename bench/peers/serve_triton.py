#!/usr/bin/env python3
"""serve_triton.py MODEL.onnx: Triton's server as nvidia-pytriton brings it (its package has no ONNX Runtime backend, so the model runs in the Python
one), two instances and dynamic batching without delay."""

import os
import sys

import numpy
import onnxruntime
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

import serve

INSTANCES = 2


def session():
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])


def instance():
    own = session()
    name, output = own.get_inputs()[0].name, own.get_outputs()[0].name

    @batch
    def infer(**inputs):
        return [own.run([output], {name: inputs[name]})[0]]

    return infer


def main():
    said = os.dup(1)
    os.dup2(2, 1)  # Triton's server writes its log to standard output.
    known = session()
    given, answer = known.get_inputs()[0], known.get_outputs()[0]
    port = serve.free_port()
    config = TritonConfig(grpc_address="127.0.0.1", grpc_port=port, http_address="127.0.0.1", http_port=serve.free_port(),
                          metrics_port=serve.free_port(), log_verbose=0)
    with Triton(config=config) as triton:
        triton.bind(model_name="cnn_28", infer_func=[instance() for _ in range(INSTANCES)],
                    inputs=[Tensor(name=given.name, dtype=numpy.float32, shape=tuple(given.shape[1:]))],
                    outputs=[Tensor(name=answer.name, dtype=numpy.float32, shape=tuple(answer.shape[1:]))],
                    config=ModelConfig(max_batch_size=32, batcher=DynamicBatcher(max_queue_delay_microseconds=0)))
        triton.run()
        os.write(said, f"127.0.0.1:{port}\n".encode())
        triton.serve()


main()
