#pragma once

#include <istream>
#include <memory>
#include <openvino/frontend/manager.hpp>
#include <openvino/openvino.hpp>
#include <streambuf>
#include <string>
#include <string_view>
#include <utility>

#include "tidewheel/base/result.h"
#include "tidewheel/serving/engine.h"

namespace tidewheel::serving {

inline constexpr char kProcessor[] = "CPU";
inline constexpr int kMostThreads = 256;

struct Engine::Core {
  ov::Core core;
  ov::frontend::FrontEndManager frontends;
  EngineOptions options;
};

/// Reads bytes where they lie: a model is not copied to be parsed.
class ByteBuffer : public std::streambuf {
 public:
  explicit ByteBuffer(std::string_view bytes) {
    char* first = const_cast<char*>(bytes.data());  // The get area is never written to.
    setg(first, first, first + bytes.size());
  }

 protected:
  pos_type seekoff(off_type offset, std::ios_base::seekdir from, std::ios_base::openmode) override {
    const char* base = from == std::ios_base::beg   ? eback()
                       : from == std::ios_base::cur ? gptr()
                                                    : egptr();
    const off_type target = base - eback() + offset;
    if (target < 0 || target > egptr() - eback()) return pos_type(off_type(-1));
    setg(eback(), eback() + target, egptr());
    return pos_type(target);
  }
  pos_type seekpos(pos_type position, std::ios_base::openmode which) override {
    return seekoff(off_type(position), std::ios_base::beg, which);
  }
};

/// OpenVINO's words as an error of ours; of operators that it does not know, their names.
Error FromOpenVino(ErrorCode code, std::string_view what, std::string_view words);

/// The one place where OpenVINO's exceptions become errors: runs `body`, which returns a Result.
template <typename Body>
auto WithoutExceptions(ErrorCode code, std::string_view what, const Body& body)
    -> decltype(body()) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return Error{ErrorCode::kResourceExhausted, std::string(what) + ": not enough memory"};
  } catch (const std::exception& failure) {
    return FromOpenVino(code, what, failure.what());
  } catch (...) {
    return Error{code, std::string(what) + ": the engine failed without a reason"};
  }
}

/// The graph of an ONNX file's bytes; throws as OpenVINO does.
std::shared_ptr<ov::Model> ReadOnnx(Engine::Core& core, std::string_view onnx);

}  // namespace tidewheel::serving
