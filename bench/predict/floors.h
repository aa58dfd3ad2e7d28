#pragma once

#include <string>

namespace grpc {
class Service;
}  // namespace grpc

namespace tidewheel::bench {

/// On a free port of the loopback, which it prints; returns when the process is to end. 1: it
/// cannot listen.
int Serve(grpc::Service& service);

/// Both serve inference.GRPCInferenceService from a process of their own, as the service does: they
/// print their address and go on until they are killed.

/// Answers a message of a model's size at once; which size, the model's name says ("identity").
int ServeNull();

/// What one writes in an afternoon: protobuf's messages, gRPC's callbacks, OpenVINO, one request at
/// a time on the thread that brought it.
int ServeBare(const std::string& onnx_file);

}  // namespace tidewheel::bench
