#include <atomic>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>

#include "tidewheel/cli/commands/command.h"
#include "tidewheel/cli/output/progress_bar.h"
#include "tidewheel/cli/push/sample_stream.h"
#include "tidewheel/cli/readers/open_pictures.h"
#include "tidewheel/cli/readers/text_rules.h"
#include "tidewheel/model_registry/v1/model_registry_service.grpc.pb.h"
#include "tidewheel/rpc/time.h"

namespace tidewheel::cli {
namespace {

namespace v1 = ingestion::v1;
namespace registry = model_registry::v1;

// A sample must fit one message of ingestion, which takes 32 MiB, with its name and metadata.
constexpr std::uint64_t kMaxMessagePayload = std::uint64_t{31} << 20;
constexpr std::size_t kRefusalsTold = 20;

struct PushOptions {
  std::string task;
  std::vector<std::string> paths;
  std::string source = "import";
  std::vector<std::string> metadata;
  bool split_from_path = false;
  std::string group_column;
  std::string zip;
  bool all_files = false;
  std::string verdicts_file;
  double retry_seconds = 60;
};

// What became of everything that was read. Thread-safe.
class Tally {
 public:
  explicit Tally(std::ofstream* verdicts) : verdicts_(verdicts) {}

  void Count(const v1::StreamSamplesRequest& batch, const v1::StreamSamplesResponse& answer) {
    const std::lock_guard lock(mutex_);
    for (int i = 0; i < answer.verdicts_size(); ++i) {
      const auto& verdict = answer.verdicts(i);
      ++answered_;
      if (verdict.disposition() == v1::DISPOSITION_ACCEPTED) ++accepted_;
      if (verdict.disposition() == v1::DISPOSITION_UNCHANGED) ++unchanged_;
      if (verdict.disposition() == v1::DISPOSITION_QUARANTINED) {
        ++quarantined_;
        for (const auto& reason : verdict.reasons()) ++by_reason_[ReasonName(reason.code())];
      }
      if (verdicts_ == nullptr) continue;
      JsonObject row;
      row.Set("name", batch.samples(i).name())
          .Set("disposition",
               LowerEnum(v1::Disposition_Name(verdict.disposition()), "DISPOSITION_"))
          .Set("sample_id", verdict.sample_id())
          .Set("sha256", verdict.sha256())
          .EnsureList("reasons");
      for (const auto& reason : verdict.reasons()) {
        row.Add("reasons", JsonObject()
                               .Set("code", ReasonName(reason.code()))
                               .Set("message", reason.message())
                               .Set("sample_id", reason.sample_id()));
      }
      *verdicts_ << row.Line();
    }
  }

  void Refuse(const RefusedPicture& picture) {
    const std::lock_guard lock(mutex_);
    if (verdicts_ != nullptr) {
      *verdicts_ << JsonObject()
                        .Set("name", picture.name)
                        .Set("disposition", "refused")
                        .Set("reason", picture.reason)
                        .Line();
    }
    ++refused_;
    if (refusals_.size() < kRefusalsTold) refusals_.push_back(picture);
  }

  std::uint64_t answered() const {
    const std::lock_guard lock(mutex_);
    return answered_;
  }
  std::uint64_t refused() const {
    const std::lock_guard lock(mutex_);
    return refused_;
  }

  JsonObject ToObject() const {
    const std::lock_guard lock(mutex_);
    JsonObject reasons;
    for (const auto& [name, count] : by_reason_) reasons.Set(name, count);
    JsonObject object;
    object.Set("pushed", answered_)
        .Set("accepted", accepted_)
        .Set("unchanged", unchanged_)
        .Set("quarantined", quarantined_)
        .Set("quarantined_by_reason", reasons)
        .Set("refused", refused_)
        .EnsureList("refusals");
    for (const auto& refusal : refusals_) {
      object.Add("refusals", JsonObject()
                                 .Set("name", Printable(refusal.name))
                                 .Set("reason", Printable(refusal.reason)));
    }
    return object;
  }

  std::string ToText() const {
    const std::lock_guard lock(mutex_);
    std::string text = FormatCount(answered_) + " pushed: " + FormatCount(accepted_) +
                       " accepted, " + FormatCount(unchanged_) + " unchanged, " +
                       FormatCount(quarantined_) + " quarantined, " + FormatCount(refused_) +
                       " refused here\n";
    for (const auto& [name, count] : by_reason_) {
      text += "  quarantined as " + LowerEnum(name, "") + ": " + FormatCount(count) + "\n";
    }
    if (answered_ > 0 && unchanged_ == answered_) {
      text += "nothing changed: all of it was there already\n";
    } else if (answered_ > 0 && accepted_ == 0 && unchanged_ > 0) {
      text += "nothing new was accepted\n";
    }
    return text;
  }

  // The refusals that are told one by one, on standard error.
  void Tell() const {
    const std::lock_guard lock(mutex_);
    for (const auto& refusal : refusals_) Remark("refused " + refusal.name + ": " + refusal.reason);
    if (refused_ > refusals_.size()) {
      Remark("... and " + std::to_string(refused_ - refusals_.size()) + " more");
    }
  }

 private:
  // "blurred": as GetSampleCounts calls it.
  static std::string ReasonName(v1::ReasonCode code) {
    std::string name = LowerEnum(v1::ReasonCode_Name(code), "REASON_CODE_");
    std::replace(name.begin(), name.end(), ' ', '_');
    return name;
  }

  mutable std::mutex mutex_;  // Guards everything.
  std::ofstream* const verdicts_;
  std::uint64_t answered_ = 0;
  std::uint64_t accepted_ = 0;
  std::uint64_t unchanged_ = 0;
  std::uint64_t quarantined_ = 0;
  std::uint64_t refused_ = 0;
  std::map<std::string, std::uint64_t> by_reason_;
  std::vector<RefusedPicture> refusals_;
};

Result<std::map<std::string, std::string>> ParseMetadata(const std::vector<std::string>& pairs) {
  std::map<std::string, std::string> metadata;
  for (const std::string& pair : pairs) {
    const auto equals = pair.find('=');
    if (equals == std::string::npos || equals == 0 || !IsUtf8(pair)) {
      return Error{ErrorCode::kInvalidArgument, "--metadata " + pair + ": must be KEY=VALUE"};
    }
    metadata[pair.substr(0, equals)] = pair.substr(equals + 1);
  }
  return metadata;
}

v1::NewSample ToSample(Picture picture, const std::string& source,
                       const std::map<std::string, std::string>& metadata) {
  v1::NewSample sample;
  sample.set_payload(std::move(picture.payload));
  sample.set_name(std::move(picture.name));
  sample.set_source(source);
  sample.set_group(std::move(picture.group));
  if (picture.collected_at) *sample.mutable_collected_at() = rpc::ToProto(*picture.collected_at);
  for (const auto& [key, value] : metadata) (*sample.mutable_metadata())[key] = value;
  for (auto& [key, value] : picture.metadata) (*sample.mutable_metadata())[key] = value;
  return sample;
}

// The task says how large a payload may be and which metadata key holds the split.
Result<ReadOptions> OptionsFromTask(CommandLine& line, const PushOptions& options) {
  registry::GetTaskRequest request;
  request.set_name(options.task);
  const auto task = line.platform().Call(&registry::ModelRegistryService::Stub::GetTask, request);
  if (!task) return task.error();
  const auto& spec = task->task().spec();
  ReadOptions read;
  const std::uint64_t limit = spec.quality().max_payload_bytes();
  read.max_payload_bytes = limit == 0 ? kMaxMessagePayload : std::min(limit, kMaxMessagePayload);
  if (!spec.splits().metadata_key().empty()) read.split_key = spec.splits().metadata_key();
  read.split_from_path = options.split_from_path;
  read.group_column = options.group_column;
  read.all_files = options.all_files;
  return read;
}

Result<ExitStatus> Push(CommandLine& line, const PushOptions& options) {
  const auto metadata = ParseMetadata(options.metadata);
  if (!metadata) return metadata.error();
  const auto read = OptionsFromTask(line, options);
  if (!read) return read.error();
  std::optional<std::filesystem::path> archive;
  if (!options.zip.empty()) archive = options.zip;

  // All are opened before the first sample is sent: a mistyped path stops the push before it
  // begins.
  std::vector<std::unique_ptr<PictureSource>> sources;
  std::optional<std::uint64_t> expected = 0;
  for (const std::string& path : options.paths) {
    auto source = OpenPictures(path, archive, *read);
    if (!source) return source.error();
    const auto count = (*source)->expected();
    expected = expected && count ? std::optional(*expected + *count) : std::nullopt;
    sources.push_back(*std::move(source));
  }
  std::ofstream verdicts;
  if (!options.verdicts_file.empty()) {
    verdicts.open(options.verdicts_file, std::ios::binary | std::ios::trunc);
    if (!verdicts) {
      return Error{ErrorCode::kPermissionDenied, options.verdicts_file + ": cannot be written"};
    }
  }
  const auto channel = line.platform().PlainChannelTo("ingestion");
  if (!channel) return channel.error();

  Tally tally(options.verdicts_file.empty() ? nullptr : &verdicts);
  ProgressBar bar("push");
  SampleStream::Options window;
  window.retry_for =
      std::chrono::milliseconds(static_cast<std::int64_t>(options.retry_seconds * 1'000));
  const auto begin = std::chrono::steady_clock::now();
  std::uint64_t skipped = 0;
  std::uint64_t resent = 0;
  std::optional<Error> broken;
  {
    SampleStream stream(
        *channel, options.task, window,
        [&](const v1::StreamSamplesRequest& batch, const v1::StreamSamplesResponse& answer) {
          tally.Count(batch, answer);
          bar.Show(tally.answered() + tally.refused(), expected);
        });
    for (auto& source : sources) {
      while (true) {
        auto next = source->Next();
        if (!next) {
          if (broken) Remark(std::string(Name(broken->code)) + ": " + broken->message);
          broken = next.error();
          break;
        }
        if (!next->has_value()) break;
        if (auto* refused = std::get_if<RefusedPicture>(&**next)) {
          tally.Refuse(*refused);
          continue;
        }
        auto pushed =
            stream.Push(ToSample(std::get<Picture>(**std::move(next)), options.source, *metadata));
        if (!pushed) return pushed.error();
      }
      skipped += source->skipped();
      source.reset();
    }
    if (auto finished = stream.Finish(); !finished) return finished.error();
    resent = stream.resent_batches();
  }
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  const double rate = seconds > 0 ? static_cast<double>(tally.answered()) / seconds : 0;
  if (verdicts.is_open()) {
    verdicts.close();
    if (!verdicts) {
      return Error{ErrorCode::kResourceExhausted, options.verdicts_file + ": could not be written"};
    }
  }

  if (line.json()) {
    auto object = tally.ToObject();
    object.Set("task", options.task)
        .Set("skipped_files", skipped)
        .Set("resent_batches", resent)
        .Set("seconds", seconds)
        .Set("per_second", rate);
    if (broken) object.Set("problem", broken->message);
    Print(object.Text());
  } else {
    Print(tally.ToText());
    if (skipped > 0) {
      Print(FormatCount(skipped) +
            " files passed over (no pictures by their extension; --all-files "
            "takes them)\n");
    }
    if (resent > 0) Print(FormatCount(resent) + " batches were sent again after an interruption\n");
    Print(FormatNumber(seconds, 2) + " s, " + FormatNumber(rate, 0) + " pictures per second\n");
    tally.Tell();
  }
  if (broken && tally.answered() == 0) return *broken;
  if (broken) Remark(std::string(Name(broken->code)) + ": " + broken->message);
  return broken || tally.refused() > 0 ? ExitStatus::kPartly : ExitStatus::kOk;
}

}  // namespace

void AddPushCommand(CommandLine& line) {
  const auto options = std::make_shared<PushOptions>();
  auto* command = line.AddCommand(
      &line.app(), "push",
      "Push pictures: files, folders, ZIP archives, IDX files (also .gz), CSV indexes");
  AddTask(command, &options->task);
  command->add_option("PATH", options->paths, "What to push")->required();
  command->add_option("--source", options->source, "Where they come from")->capture_default_str();
  command
      ->add_option("--metadata", options->metadata, "KEY=VALUE for every sample; may be repeated")
      ->expected(1)
      ->take_all();
  command->add_flag("--split-from-path", options->split_from_path,
                    "Take the split from a folder named train, training, validation, test ...");
  command->add_option("--group-column", options->group_column,
                      "CSV column whose value is the sample's group");
  command->add_option("--zip", options->zip, "The archive in which a CSV index's paths are");
  command->add_flag("--all-files", options->all_files,
                    "In folders and archives also files that are no pictures by their extension");
  command->add_option("--verdicts", options->verdicts_file,
                      "Write each sample's verdict to this file, one JSON object a line");
  command
      ->add_option("--retry-for", options->retry_seconds,
                   "Seconds to go on when ingestion does not answer")
      ->check(CLI::Range(0.0, 86'400.0))
      ->capture_default_str();
  line.OnRun(command, [&line, options] { return Push(line, *options); });
}

}  // namespace tidewheel::cli
