#include "tidewheel/training/worker/prepared_data.h"

#include <google/protobuf/io/zero_copy_stream_impl.h>
#include <google/protobuf/util/delimited_message_util.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <map>
#include <optional>

#include "tidewheel/base/random.h"
#include "tidewheel/training/worker/picture_transform.h"
#include "tidewheel/vision/decode.h"
#include "tidewheel/vision/measure.h"

namespace tidewheel::training {
namespace {

constexpr std::string_view kTraining = "training";

/// One split while it is written.
struct OpenSplit {
  std::string_view name;
  std::filesystem::path path;
  std::optional<ml::DatasetFileWriter> writer;
  std::vector<std::uint64_t> ordinals;
  std::vector<double> measures;
  std::vector<v1::WorkerItem> items;
};

Result<OpenSplit> Open(std::string_view name, const std::filesystem::path& folder,
                       const ml::ImageShape& shape) {
  OpenSplit split;
  split.name = name;
  split.path = folder / (std::string(name) + ".dataset");
  auto writer = ml::DatasetFileWriter::Create(split.path, shape, ml::ElementType::kFloat32);
  if (!writer) return writer.error();
  split.writer = *std::move(writer);
  return split;
}

Result<PreparedSplit> Finish(OpenSplit split) {
  if (split.ordinals.empty()) {
    return Error{ErrorCode::kFailedPrecondition,
                 "the dataset version has no " + std::string(split.name) + " samples"};
  }
  if (const auto finished = split.writer->Finish(); !finished) return finished.error();
  auto file = ml::DatasetFile::Open(split.path);
  if (!file) return file.error();
  return PreparedSplit{*std::move(file), std::move(split.ordinals), std::move(split.measures),
                       std::move(split.items)};
}

/// The item's picture as the model sees it; what it measures is added to the split's.
Result<void> PrepareItem(const blob::Store& payloads, const v1::WorkerItem& item,
                         const vision::PreprocessSpec& spec, std::span<float> row,
                         std::vector<double>& measures) {
  const auto image = ReadPicture(payloads, item);
  if (!image) return image.error();
  const auto measured = vision::ToArray(vision::Measure(*image));
  measures.insert(measures.end(), measured.begin(), measured.end());
  return vision::Preprocess(*image, spec, row);
}

using ItemVisitor = std::function<Result<void>(std::uint64_t ordinal, const v1::WorkerItem& item)>;

/// The job's items in their order.
Result<void> VisitItems(const v1::WorkerJob& job, const ItemVisitor& visit) {
  std::ifstream items(job.items_file(), std::ios::binary);
  google::protobuf::io::IstreamInputStream stream(&items);
  v1::WorkerItem item;
  bool at_end = false;
  std::uint64_t ordinal = 0;
  while (google::protobuf::util::ParseDelimitedFromZeroCopyStream(&item, &stream, &at_end)) {
    if (auto visited = visit(ordinal++, item); !visited) return visited;
    item.Clear();  // The next one is merged into it: a zero is not on the wire.
  }
  if (at_end && ordinal == job.items()) return {};
  return Error{ErrorCode::kDataLoss, "the list of items ends after " + std::to_string(ordinal) +
                                         " of " + std::to_string(job.items())};
}

/// How many rows each training item becomes.
class CopyPlan {
 public:
  static Result<CopyPlan> Make(const v1::WorkerJob& job) {
    CopyPlan plan;
    const auto& asked = job.hyperparameters();
    plan.weights_count_ = !asked.has_class_weights() || asked.class_weights();
    const auto visited = VisitItems(job, [&](std::uint64_t, const v1::WorkerItem& item) {
      if (item.split() == kTraining && item.weight() > 0) {
        auto [lightest, first] = plan.lightest_.emplace(item.class_index(), item.weight());
        if (!first) lightest->second = std::min(lightest->second, item.weight());
      }
      return Result<void>();
    });
    if (!visited) return visited.error();
    return plan;
  }

  std::uint32_t RowsOf(const v1::WorkerItem& item) const {
    const auto lightest = lightest_.find(item.class_index());
    if (!weights_count_ || item.split() != kTraining || lightest == lightest_.end()) return 1;
    const double times = std::clamp(item.weight() / lightest->second, 1.0, double{kMostCopies});
    return static_cast<std::uint32_t>(times);
  }

 private:
  bool weights_count_ = true;
  std::map<std::uint32_t, double> lightest_;  // By class.
};

/// An item of which copies are to be made.
struct Heavy {
  std::uint64_t ordinal = 0;
  v1::WorkerItem item;
  std::uint32_t rows = 1;
};

Result<void> AppendCopies(const v1::WorkerJob& job, const blob::Store& payloads,
                          const vision::PreprocessSpec& spec, const Heavy& heavy,
                          std::span<float> row, ml::DatasetFileWriter& writer) {
  const auto image = ReadPicture(payloads, heavy.item);
  if (!image) return image.error();
  for (std::uint32_t copy = 1; copy < heavy.rows; ++copy) {
    const std::uint64_t seed = StableHash(
        "copy " + std::to_string(heavy.ordinal) + "/" + std::to_string(copy), job.seed());
    if (auto done = vision::Preprocess(Varied(*image, seed), spec, row); !done) return done;
    auto appended = writer.Append(row, static_cast<std::int32_t>(heavy.item.class_index()),
                                  static_cast<float>(heavy.item.weight() / heavy.rows));
    if (!appended) return appended;
  }
  return {};
}

}  // namespace

Result<vision::Image> ReadPicture(const blob::Store& payloads, const v1::WorkerItem& item) {
  const auto ref = blob::Ref::Parse(item.payload_ref());
  if (!ref) return ref.error();
  const auto payload = payloads.Get(*ref);
  if (!payload) return payload.error();
  return vision::Decode(*payload);
}

Result<PreparedData> PrepareData(const v1::WorkerJob& job, const vision::PreprocessSpec& spec,
                                 const std::filesystem::path& folder, ReportPipe& reports,
                                 const std::stop_token& stop) {
  const auto payloads = blob::OpenFileStore(job.payloads_root());
  if (!payloads) return payloads.error();
  const ml::ImageShape shape{spec.channels, spec.height, spec.width};
  auto training = Open("training", folder, shape);
  if (!training) return training.error();
  auto validation = Open("validation", folder, shape);
  if (!validation) return validation.error();
  auto test = Open("test", folder, shape);
  if (!test) return test.error();

  const auto plan = CopyPlan::Make(job);
  if (!plan) return plan.error();
  std::vector<Heavy> heavy;
  std::vector<float> row(spec.OutputSize());
  v1::Progress progress;
  progress.set_phase("preparing");
  progress.set_steps_total(job.items());
  const auto prepare = [&](std::uint64_t ordinal, const v1::WorkerItem& item) -> Result<void> {
    if (stop.stop_requested()) return Error{ErrorCode::kCancelled, "cancelled"};
    OpenSplit& split = item.split() == "test"         ? *test
                       : item.split() == "validation" ? *validation
                                                      : *training;
    const auto done = PrepareItem(**payloads, item, spec, row, split.measures);
    if (!done) return Prefixed("item " + std::to_string(ordinal) + ": ", done.error());
    const std::uint32_t rows = plan->RowsOf(item);
    const auto appended = split.writer->Append(row, static_cast<std::int32_t>(item.class_index()),
                                               static_cast<float>(item.weight() / rows));
    if (!appended) return Prefixed("item " + std::to_string(ordinal) + ": ", appended.error());
    split.ordinals.push_back(ordinal);
    if (&split != &*training) split.items.push_back(item);
    if (rows > 1) heavy.push_back({ordinal, item, rows});
    progress.set_steps_done(ordinal + 1);
    reports.Tell(progress);
    return {};
  };
  if (const auto visited = VisitItems(job, prepare); !visited) return visited.error();
  for (const Heavy& each : heavy) {
    if (stop.stop_requested()) return Error{ErrorCode::kCancelled, "cancelled"};
    const auto done = AppendCopies(job, **payloads, spec, each, row, *training->writer);
    if (!done) return Prefixed("item " + std::to_string(each.ordinal) + ": ", done.error());
  }

  auto prepared_training = Finish(*std::move(training));
  if (!prepared_training) return prepared_training.error();
  auto prepared_validation = Finish(*std::move(validation));
  if (!prepared_validation) return prepared_validation.error();
  auto prepared_test = Finish(*std::move(test));
  if (!prepared_test) return prepared_test.error();
  return PreparedData{{vision::kMeasureNames.begin(), vision::kMeasureNames.end()},
                      *std::move(prepared_training),
                      *std::move(prepared_validation),
                      *std::move(prepared_test)};
}

}  // namespace tidewheel::training
