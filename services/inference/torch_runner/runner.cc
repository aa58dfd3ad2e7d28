#include "tidewheel/inference/torch_runner/runner.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "tidewheel/inference/torch_runner/confinement.h"
#include "tidewheel/inference/torch_runner/embedded_libtorch.h"
#include "tidewheel/inference/torch_runner/wire/control.h"
#include "tidewheel/inference/torch_runner/wire/lanes.h"
#include "tidewheel/inference/torch_runner/wire/messages.h"
#include "tidewheel/ml/foreign/foreign_model.h"

namespace tidewheel::inference {
namespace {

using torch_runner::LaneWords;
using torch_runner::LoadOrder;
using torch_runner::LoadReport;
using torch_runner::SharedLanes;

// Both lists are the protocol's, in its order.
static_assert(static_cast<int>(DataType::kBytes) == static_cast<int>(ml::ForeignType::kText));
static_assert(static_cast<int>(DataType::kFp16) == static_cast<int>(ml::ForeignType::kFp16));
static_assert(static_cast<int>(DataType::kInt64) == static_cast<int>(ml::ForeignType::kInt64));

constexpr std::chrono::hours kForEver{1'000};

std::vector<std::string> NamesOf(const std::vector<TensorSpec>& specs) {
  std::vector<std::string> names;
  for (const TensorSpec& spec : specs) names.push_back(spec.name);
  return names;
}

std::vector<TensorSpec> AnySpecs(const std::vector<std::string>& names, std::size_t count) {
  std::vector<TensorSpec> specs;
  for (std::size_t i = 0; i < count; ++i) {
    specs.push_back({.name = names[i], .shape = {-1}, .any = true});
  }
  return specs;
}

/// What is served: the configuration's words, else the file's.
Result<void> Describe(const LoadOrder& order, const ml::ForeignSignature& signature,
                      LoadReport& report) {
  report.inputs = order.inputs;
  report.outputs = order.outputs;
  if (signature.architecture && signature.inputs.size() == 1 && signature.outputs.size() == 1) {
    const ml::Architecture& own = *signature.architecture;
    report.batches = true;
    if (report.inputs.empty()) {
      report.inputs = {{.name = signature.inputs[0],
                        .shape = {-1, own.input.channels, own.input.height, own.input.width}}};
    }
    if (report.outputs.empty()) {
      report.outputs = {{.name = signature.outputs[0], .shape = {-1, own.classes}}};
    }
    return {};
  }
  const auto unknown = [](const std::string& what) {
    return Error{ErrorCode::kInvalidArgument, "the file does not say how many " + what +
                                                  " there are: config.pbtxt must name them"};
  };
  if (report.inputs.empty()) {
    if (signature.inputs.empty()) return unknown("inputs");
    report.inputs = AnySpecs(signature.inputs, std::max<std::size_t>(signature.required_inputs, 1));
  }
  if (report.outputs.empty()) {
    if (signature.outputs.empty()) return unknown("outputs");
    report.outputs = AnySpecs(signature.outputs, signature.outputs.size());
  }
  return {};
}

Result<std::vector<Tensor>> Compute(ml::ForeignModel& model, std::span<const char> area) {
  const auto inputs = torch_runner::ReadTensors(area);
  if (!inputs) return inputs.error();
  std::vector<ml::ForeignTensor> given;
  given.reserve(inputs->size());
  for (const Tensor& input : *inputs) {
    given.push_back({static_cast<ml::ForeignType>(input.type), input.shape, input.data, nullptr});
  }
  auto answers = model.Run(given);
  if (!answers) return answers.error();
  std::vector<Tensor> outputs;
  outputs.reserve(answers->size());
  for (ml::ForeignTensor& answer : *answers) {
    outputs.push_back({.type = static_cast<DataType>(answer.type),
                       .shape = std::move(answer.shape),
                       .data = answer.bytes,
                       .owner = std::move(answer.owner)});
  }
  return outputs;
}

/// Answers one lane's requests, one after the other.
[[noreturn]] void ServeLane(ml::ForeignModel& model, const SharedLanes& memory, std::size_t lane,
                            std::chrono::nanoseconds spin) {
  LaneWords& words = memory.words(lane);
  std::uint32_t done = 0;
  while (true) {
    std::uint32_t asked = words.asked.load(std::memory_order_acquire);
    while (asked == done) {
      torch_runner::WaitWhile(words.asked, done, kForEver, spin);
      asked = words.asked.load(std::memory_order_acquire);
    }
    {
      auto outputs = Compute(model, memory.request(lane));
      const auto written = outputs ? torch_runner::WriteTensors(memory.answer(lane), *outputs)
                                   : Result<std::size_t>(outputs.error());
      if (!written) torch_runner::WriteError(memory.answer(lane), written.error());
    }
    done = asked;
    words.answered.store(asked, std::memory_order_release);
    torch_runner::WakeAll(words.answered);
  }
}

struct Served {
  std::optional<SharedLanes> memory;
  std::unique_ptr<ml::ForeignModel> model;
};

Result<void> Prepare(const LoadOrder& order, int memory, int file, Served& served,
                     LoadReport& report) {
  auto mapped = SharedLanes::Map(memory, order.lanes, order.lane_bytes);
  if (!mapped) return mapped.error();
  served.memory.emplace(std::move(*mapped));
  served.memory->CloseDescriptor();
  auto confined = Confine({.memory_bytes = order.memory_bytes,
                           .scratch = order.scratch,
                           .cuda = order.device.starts_with("cuda")});
  if (!confined) return confined.error();
  report.unconfined = std::move(*confined);
  if (order.package) {
    if (auto provided = ProvideLibTorch(order.scratch); !provided) return provided;
  }
  auto model = ml::ForeignModel::Load(file, {.package = order.package,
                                             .device = order.device,
                                             .threads = static_cast<int>(order.threads),
                                             .instances = static_cast<int>(order.lanes),
                                             .freeze = order.freeze,
                                             .gradients = order.gradients,
                                             .scratch = order.scratch});
  close(file);
  if (!model) return model.error();
  served.model = std::move(*model);
  if (auto described = Describe(order, served.model->signature(), report); !described) {
    return described;
  }
  if (auto bound = served.model->Bind(NamesOf(report.inputs), NamesOf(report.outputs)); !bound) {
    return bound;
  }
  // What is loaded needs its files no more; they must not outlive a process that is killed.
  std::error_code ignored;
  if (!order.scratch.empty()) {
    for (std::filesystem::directory_iterator at(order.scratch, ignored), end; !ignored && at != end;
         at.increment(ignored)) {
      std::error_code kept;
      std::filesystem::remove_all(at->path(), kept);
    }
  }
  return {};
}

}  // namespace

int ServeModel(int socket) {
  auto message = torch_runner::ReceiveMessage(socket, 2);
  if (!message) return 1;
  const auto order = LoadOrder::Parse(message->bytes);
  Served served;
  LoadReport report;
  const auto prepared =
      order ? Prepare(*order, message->descriptors[0], message->descriptors[1], served, report)
            : Result<void>(order.error());
  if (!prepared) report.error = prepared.error();
  if (!torch_runner::SendMessage(socket, report.Print(), {}) || !prepared) return 1;

  const std::chrono::nanoseconds spin(order->spin_nanoseconds);
  for (std::size_t lane = 0; lane < order->lanes; ++lane) {
    std::thread([&served, lane, spin] {
      ServeLane(*served.model, *served.memory, lane, spin);
    }).detach();  // They end with the process, which ends here.
  }
  pollfd end{socket, POLLIN, 0};
  while (poll(&end, 1, -1) < 0 && errno == EINTR) {
  }
  // Whatever came: the other end says nothing more but that it goes. Threads may be in a model's
  // code, so nothing is taken apart.
  _exit(0);
}

}  // namespace tidewheel::inference
