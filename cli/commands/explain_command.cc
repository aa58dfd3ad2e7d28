#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <memory>

#include "tidewheel/cli/commands/command.h"
#include "tidewheel/cli/readers/open_pictures.h"
#include "tidewheel/inference/v1/inference_service.grpc.pb.h"

namespace tidewheel::cli {
namespace {

namespace v1 = inference::v1;
using Stub = v1::InferenceService::Stub;

constexpr std::size_t kMaxPictureBytes = std::size_t{16} << 20;
constexpr std::size_t kMostColumns = 56;
constexpr int kPartsShown = 8;

struct ExplainOptions {
  std::string task;
  std::string path;
  std::string method = "lime";
  std::string class_name;
  double seconds = 2;
  std::uint32_t samples = 0;
  std::uint64_t seed = 1;
};

v1::ExplanationMethod MethodOf(const std::string& name) {
  if (name == "gradients") return v1::EXPLANATION_METHOD_INTEGRATED_GRADIENTS;
  if (name == "occlusion") return v1::EXPLANATION_METHOD_OCCLUSION;
  return v1::EXPLANATION_METHOD_LIME;
}

/// What each pixel adds: its own number of a map, or that of its superpixel.
std::vector<double> PixelWeights(const v1::ExplainResponse& explained) {
  if (explained.map_size() > 0) return {explained.map().begin(), explained.map().end()};
  std::vector<double> by_part;
  for (const auto& part : explained.parts()) {
    by_part.resize(std::max<std::size_t>(by_part.size(), part.part() + 1), 0);
    by_part[part.part()] = part.weight();
  }
  std::vector<double> weights;
  for (const std::uint32_t region : explained.regions()) {
    weights.push_back(region < by_part.size() ? by_part[region] : 0);
  }
  return weights;
}

/// The picture in letters, two pixels high each: darker speaks for the class, "-" against it.
std::string Drawing(const v1::ExplainResponse& explained) {
  const std::size_t height = explained.height();
  const std::size_t width = explained.width();
  const auto weights = PixelWeights(explained);
  if (height == 0 || width == 0 || weights.size() != height * width) return "";
  const std::size_t columns = std::min(width, kMostColumns);
  const std::size_t rows = std::max<std::size_t>(1, columns * height / width / 2);
  std::vector<double> cells(rows * columns, 0);
  std::vector<int> counts(rows * columns, 0);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (std::isnan(weights[i])) continue;
    const std::size_t cell = i / width * rows / height * columns + i % width * columns / width;
    cells[cell] += weights[i];
    ++counts[cell];
  }
  double highest = 0;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (counts[i] > 0) cells[i] /= counts[i];
    highest = std::max(highest, std::abs(cells[i]));
  }
  constexpr std::array<const char*, 5> kShades = {"\u00b7", "\u2591", "\u2592", "\u2593", "\u2588"};
  std::string text;
  for (std::size_t row = 0; row < rows; ++row) {
    text += "  ";
    for (std::size_t column = 0; column < columns; ++column) {
      const double share = highest > 0 ? cells[row * columns + column] / highest : 0;
      if (counts[row * columns + column] == 0) {
        text += " ";
      } else if (share < -0.2) {
        text += "-";
      } else {
        text += kShades[static_cast<std::size_t>(std::clamp(std::floor(share * 5), 0.0, 4.0))];
      }
    }
    text += "\n";
  }
  return text;
}

std::string HowExact(const v1::ExplainResponse& explained) {
  std::string text = FormatCount(explained.asked()) + " of " + FormatCount(explained.possible());
  switch (explained.method()) {
    case v1::EXPLANATION_METHOD_OCCLUSION:
      text += " squares covered";
      break;
    case v1::EXPLANATION_METHOD_INTEGRATED_GRADIENTS:
      text += " steps at most";
      break;
    default:
      text += " changed pictures asked";
  }
  if (explained.has_r_squared()) text += ", R squared " + FormatNumber(explained.r_squared());
  if (explained.has_gap()) text += ", gap " + FormatNumber(explained.gap());
  if (!explained.complete()) text += "; cut short by its time";
  return text;
}

Result<std::string> ReadPicture(const std::string& path) {
  ReadOptions read;
  read.max_payload_bytes = kMaxPictureBytes;
  auto source = OpenPictures(path, std::nullopt, read);
  if (!source) return source.error();
  auto next = (*source)->Next();
  if (!next) return next.error();
  if (!next->has_value()) return Error{ErrorCode::kNotFound, path + ": holds no picture"};
  if (auto* refused = std::get_if<RefusedPicture>(&**next)) {
    return Error{ErrorCode::kInvalidArgument, refused->name + ": " + refused->reason};
  }
  return std::move(std::get<Picture>(**next).payload);
}

Result<ExitStatus> Explain(CommandLine& line, const ExplainOptions& options) {
  auto picture = ReadPicture(options.path);
  if (!picture) return picture.error();
  v1::ExplainRequest request;
  request.set_task(options.task);
  request.set_picture(*std::move(picture));
  request.set_method(MethodOf(options.method));
  request.set_class_name(options.class_name);
  request.set_time_seconds(options.seconds);
  request.set_samples(options.samples);
  request.set_seed(options.seed);
  const auto explained = line.platform().Call(&Stub::Explain, request);
  if (!explained) return explained.error();
  if (line.json()) {
    Print(ToJson(*explained));
    return ExitStatus::kOk;
  }
  Print(explained->class_name() + ", probability " + FormatNumber(explained->probability()) +
        ", says " + options.task + "@" + std::to_string(explained->model_version()) + "\n\n" +
        Drawing(*explained) + "\n");
  if (explained->parts_size() > 0) {
    Table table({">SUPERPIXEL", ">ADDS", ">+/-"});
    for (int i = 0; i < std::min(explained->parts_size(), kPartsShown); ++i) {
      const auto& part = explained->parts(i);
      table.Add({std::to_string(part.part()), FormatNumber(part.weight()),
                 part.has_standard_error() ? FormatNumber(1.96 * part.standard_error()) : ""});
    }
    Print(table.Text() + "\n");
  }
  Print(HowExact(*explained) + "\n");
  return ExitStatus::kOk;
}

}  // namespace

void AddExplainCommand(CommandLine& line) {
  const auto options = std::make_shared<ExplainOptions>();
  auto* command = line.AddCommand(&line.app(), "explain",
                                  "Show what a picture's answer comes from, and how sure that is");
  AddTask(command, &options->task);
  command->add_option("PICTURE", options->path, "A file")->required();
  command->add_option("--method", options->method, "lime, gradients or occlusion")
      ->check(CLI::IsMember({"lime", "gradients", "occlusion"}))
      ->capture_default_str();
  command->add_option("--class", options->class_name, "Whose probability (default: the answer's)");
  command->add_option("--seconds", options->seconds, "What it may take, at most 30")
      ->capture_default_str();
  command->add_option("--samples", options->samples, "Changed pictures of lime (default: 1000)");
  command->add_option("--seed", options->seed, "The same seed asks the same")
      ->capture_default_str();
  line.OnRun(command, [&line, options] { return Explain(line, *options); });
}

}  // namespace tidewheel::cli
