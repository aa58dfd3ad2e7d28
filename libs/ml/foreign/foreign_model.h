#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/ml/graph/architecture.h"

namespace tidewheel::ml {

/// What a tensor of a foreign model holds. Texts are little-endian 32-bit lengths, each followed by
/// as many bytes.
enum class ForeignType {
  kBool,
  kUint8,
  kUint16,
  kUint32,
  kUint64,
  kInt8,
  kInt16,
  kInt32,
  kInt64,
  kFp16,
  kBf16,
  kFp32,
  kFp64,
  kText,
};

/// Row-major, without padding.
struct ForeignTensor {
  ForeignType type = ForeignType::kFp32;
  std::vector<std::int64_t> shape{};
  std::string_view bytes{};
  std::shared_ptr<const void> owner{};  // Null: the bytes are the caller's.
};

/// Rows, and the class as one INT64; that class's answers, and their derivatives in the rows'
/// shape.
inline constexpr std::array<std::string_view, 2> kGradientInputs = {"rows", "class"};
inline constexpr std::array<std::string_view, 2> kGradientOutputs = {"answers", "gradients"};

struct ForeignOptions {
  bool package = false;        // An AOTInductor package; else TorchScript.
  std::string device = "cpu";  // Or "cuda:N".
  int threads = 1;             // That compute one call.
  int instances = 1;           // Calls at the same time.
  /// Attributes become constants, and what this makes superfluous goes.
  bool freeze = true;
  /// Of TorchScript whose forward takes rows and gives rows x classes: served is the derivative of
  /// one class's answer by the rows, with kGradientInputs and kGradientOutputs.
  bool gradients = false;
  std::filesystem::path scratch{};  // For a package, which is unpacked there.
};

/// What a file says of itself. Neither kind of file knows datatypes and shapes.
struct ForeignSignature {
  std::vector<std::string> inputs{};   // Of the arguments; empty: they are as many as are given.
  std::size_t required_inputs = 0;     // Those behind have defaults.
  std::vector<std::string> outputs{};  // Empty: only a call shows how many there are.
  /// Of a module that this platform made: pictures go in, probabilities come out.
  std::optional<Architecture> architecture{};
};

/// A model that somebody else wrote: TorchScript, or an AOTInductor package, whose machine code
/// runs in this process. Loading runs code of the file, too.
class ForeignModel {
 public:
  virtual ~ForeignModel() = default;

  /// Reads an open file from its beginning. kInvalidArgument: it is no such file, or `forward`
  /// takes or gives what is no tensor; kUnimplemented names an operator that this LibTorch does not
  /// have; kFailedPrecondition: the device is not there; kResourceExhausted: memory.
  static Result<std::unique_ptr<ForeignModel>> Load(int descriptor, const ForeignOptions& options);

  virtual const ForeignSignature& signature() const = 0;

  /// Says what the tensors of Run are called, in their order. Names of inputs are those of
  /// forward's arguments, or all end in "__<place>", or are taken in the arguments' order; one
  /// argument that is a dict or a list takes all. Outputs likewise: keys of a dict, places, or in
  /// order. kInvalidArgument names what does not fit.
  virtual Result<void> Bind(const std::vector<std::string>& inputs,
                            const std::vector<std::string>& outputs) = 0;

  /// Inputs and outputs in the order of Bind. Inputs must stay until the outputs are gone. As many
  /// calls at a time as there are instances. kInvalidArgument: what the model raised;
  /// kResourceExhausted: memory.
  virtual Result<std::vector<ForeignTensor>> Run(std::span<const ForeignTensor> inputs) = 0;
};

}  // namespace tidewheel::ml
