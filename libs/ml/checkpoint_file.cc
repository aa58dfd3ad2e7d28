#include "tidewheel/ml/internal/checkpoint_file.h"

#include <c10/core/GradMode.h>
#include <fcntl.h>
#include <torch/csrc/jit/serialization/pickle.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <span>
#include <vector>

#include "tidewheel/ml/internal/torch_module.h"

namespace tidewheel::ml {
namespace {

constexpr char kIdentity[] = "identity";

at::Tensor BytesOf(const std::string& text) {
  at::Tensor bytes = at::empty({static_cast<std::int64_t>(text.size())}, at::kByte);
  std::memcpy(bytes.data_ptr<std::uint8_t>(), text.data(), text.size());
  return bytes;
}

std::string TextOf(const at::Tensor& bytes) {
  const at::Tensor plain = bytes.contiguous();
  return {reinterpret_cast<const char*>(plain.data_ptr<std::uint8_t>()),
          static_cast<std::size_t>(plain.numel())};
}

bool WriteAll(int file, std::span<const char> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return true;
}

Error DiskError(const std::filesystem::path& path) {
  return {ErrorCode::kResourceExhausted, path.string() + ": " + std::strerror(errno)};
}

}  // namespace

void PutTensors(TrainingState& state, const std::string& name,
                const std::vector<at::Tensor>& tensors) {
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    state[name + "." + std::to_string(i)] = tensors[i].detach();
  }
}

std::vector<at::Tensor> TensorsOf(const TrainingState& state, const std::string& name) {
  std::vector<at::Tensor> tensors;
  for (;;) {
    const auto found = state.find(name + "." + std::to_string(tensors.size()));
    if (found == state.end()) return tensors;
    tensors.push_back(found->second);
  }
}

void CheckTensors(const TrainingState& state, const std::string& name,
                  const std::vector<at::Tensor>& like) {
  const auto saved = TensorsOf(state, name);
  TORCH_CHECK(saved.size() == like.size(), "it has other tensors named ", name);
  for (std::size_t i = 0; i < saved.size(); ++i) {
    TORCH_CHECK(saved[i].sizes() == like[i].sizes(), "its ", name, ".", i, " has another shape");
  }
}

void CopyTensors(const TrainingState& state, const std::string& name,
                 const std::vector<at::Tensor>& into) {
  const c10::NoGradGuard no_gradients;
  const auto saved = TensorsOf(state, name);
  for (std::size_t i = 0; i < into.size(); ++i) into[i].copy_(saved[i]);
}

void PutNumbers(TrainingState& state, const std::string& name, const std::vector<double>& numbers) {
  at::Tensor tensor = at::empty({static_cast<std::int64_t>(numbers.size())}, at::kDouble);
  std::copy(numbers.begin(), numbers.end(), tensor.data_ptr<double>());
  state[name] = tensor;
}

std::vector<double> NumbersOf(const TrainingState& state, const std::string& name) {
  const at::Tensor tensor = state.at(name).contiguous();
  const auto* first = tensor.data_ptr<double>();
  return {first, first + tensor.numel()};
}

Result<void> SaveCheckpoint(const std::filesystem::path& file, const std::string& identity,
                            const TrainingState& state) {
  return WithoutExceptions(ErrorCode::kInternal, "checkpoint", [&]() -> Result<void> {
    c10::Dict<std::string, at::Tensor> tensors;
    tensors.insert(kIdentity, BytesOf(identity));
    for (const auto& [name, tensor] : state) tensors.insert(name, tensor);
    const std::vector<char> bytes = torch::jit::pickle_save(tensors);

    const std::filesystem::path part = file.string() + ".part";
    const int descriptor = ::open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (descriptor < 0) return DiskError(part);
    // What is renamed before it is on the disk may be empty after a power cut.
    const bool written = WriteAll(descriptor, bytes) && ::fsync(descriptor) == 0;
    Error failure = DiskError(part);
    ::close(descriptor);
    if (written) {
      if (::rename(part.c_str(), file.c_str()) == 0) return {};
      failure = DiskError(file);
    }
    ::unlink(part.c_str());  // It would take the room that others want.
    return failure;
  });
}

Result<TrainingState> LoadCheckpoint(const std::filesystem::path& file,
                                     const std::string& identity) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return Error{ErrorCode::kNotFound, file.string() + ": there is no checkpoint"};
  return WithoutExceptions(
      ErrorCode::kInvalidArgument, file.string(), [&]() -> Result<TrainingState> {
        const std::vector<char> bytes{std::istreambuf_iterator<char>(in), {}};
        TrainingState state;
        for (const auto& entry : torch::jit::pickle_load(bytes).toGenericDict()) {
          state[entry.key().toStringRef()] = entry.value().toTensor();
        }
        const auto kept = state.extract(kIdentity);
        if (kept.empty() || TextOf(kept.mapped()) != identity) {
          return Error{ErrorCode::kNotFound, file.string() + ": of another training"};
        }
        return state;
      });
}

}  // namespace tidewheel::ml
