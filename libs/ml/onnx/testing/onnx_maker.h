#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace tidewheel::ml {

/// ONNX's numbers of datatypes.
namespace onnx_type {
inline constexpr int kFloat = 1;
inline constexpr int kUint8 = 2;
inline constexpr int kInt8 = 3;
inline constexpr int kUint16 = 4;
inline constexpr int kInt16 = 5;
inline constexpr int kInt32 = 6;
inline constexpr int kInt64 = 7;
inline constexpr int kString = 8;
inline constexpr int kBool = 9;
inline constexpr int kFloat16 = 10;
inline constexpr int kDouble = 11;
inline constexpr int kUint32 = 12;
inline constexpr int kUint64 = 13;
inline constexpr int kBfloat16 = 16;
}  // namespace onnx_type

/// ONNX files for tests, node by node, right or wrong as the test wants them.
class OnnxMaker {
 public:
  using Value = std::variant<std::int64_t, float, std::string, std::vector<std::int64_t>,
                             std::vector<float>, std::vector<std::string>>;
  using Attributes = std::vector<std::pair<std::string, Value>>;

  explicit OnnxMaker(std::int64_t opset = 13);
  ~OnnxMaker();
  OnnxMaker(OnnxMaker&&) noexcept;

  /// A size is a number, or a name for any.
  using Sizes = std::vector<std::variant<int, std::string>>;
  OnnxMaker& Input(const std::string& name, int type, const Sizes& sizes);
  OnnxMaker& Output(const std::string& name, int type, const Sizes& sizes);
  OnnxMaker& Weights(const std::string& name, std::vector<std::int64_t> shape,
                     const std::vector<float>& numbers);
  OnnxMaker& Integers(const std::string& name, std::vector<std::int64_t> shape,
                      const std::vector<std::int64_t>& numbers);
  /// Any bytes as a tensor of any type.
  OnnxMaker& Raw(const std::string& name, int type, std::vector<std::int64_t> shape,
                 const std::string& bytes);
  OnnxMaker& External(const std::string& name, std::vector<std::int64_t> shape,
                      const std::string& location, std::int64_t offset, std::int64_t length);
  OnnxMaker& Node(const std::string& op, std::vector<std::string> inputs,
                  std::vector<std::string> outputs, const Attributes& attributes = {},
                  const std::string& domain = {});
  /// Doubles "x" `turns` times (the name of a whole number; empty: without one) and gives "y"; ends
  /// itself after one turn, or goes on as it was told to.
  OnnxMaker& Loop(const std::string& turns, bool ends_itself);
  OnnxMaker& Domain(const std::string& domain, std::int64_t version);

  std::string Bytes() const;

 private:
  struct Model;
  std::unique_ptr<Model> model_;
};

}  // namespace tidewheel::ml
