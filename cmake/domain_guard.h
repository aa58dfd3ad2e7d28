// Included first into every domain target: naming an I/O library there is a compile error.
#pragma GCC poison grpc protobuf pqxx RdKafka prometheus torch openvino spdlog
