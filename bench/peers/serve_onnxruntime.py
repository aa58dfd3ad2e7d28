#!/usr/bin/env python3
"""serve_onnxruntime.py MODEL.onnx: a grpc.aio service around onnxruntime, as one writes it in Python; one thread for an operator, since parallelism
inside of small models costs more than it brings."""

import asyncio
import sys

import grpc
import numpy
import onnxruntime
from tritonclient.grpc import service_pb2, service_pb2_grpc


class Service(service_pb2_grpc.GRPCInferenceServiceServicer):
    def __init__(self, path):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name
        self.output = self.session.get_outputs()[0].name

    async def ModelInfer(self, request, context):  # pylint: disable=invalid-name,unused-argument,invalid-overridden-method
        row = numpy.frombuffer(request.raw_input_contents[0], numpy.float32).reshape(tuple(request.inputs[0].shape))
        answer = self.session.run([self.output], {self.input: row})[0]
        response = service_pb2.ModelInferResponse(model_name=request.model_name, model_version="1")
        response.outputs.add(name=self.output, datatype="FP32", shape=answer.shape)
        response.raw_output_contents.append(answer.tobytes())
        return response


async def main():
    server = grpc.aio.server()
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(Service(sys.argv[1]), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


asyncio.run(main())
