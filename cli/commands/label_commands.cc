#include <filesystem>
#include <fstream>
#include <memory>

#include "tidewheel/base/digest.h"
#include "tidewheel/base/ids.h"
#include "tidewheel/cli/commands/command.h"
#include "tidewheel/cli/output/progress_bar.h"
#include "tidewheel/cli/readers/csv_reader.h"
#include "tidewheel/cli/readers/idx_reader.h"
#include "tidewheel/cli/readers/text_rules.h"
#include "tidewheel/ingestion/v1/ingestion_service.grpc.pb.h"
#include "tidewheel/labeling/v1/labeling_service.grpc.pb.h"
#include "tidewheel/labeling/v1/queue_service.grpc.pb.h"
#include "tidewheel/rpc/time.h"

namespace tidewheel::cli {
namespace {

namespace v1 = labeling::v1;
using Stub = v1::LabelingService::Stub;
using QueueStub = v1::QueueService::Stub;

// SubmitVotes takes up to 10000.
constexpr int kBatchVotes = 5'000;
constexpr std::size_t kRejectionsTold = 20;

struct ImportOptions {
  std::string task;
  std::string file;
  std::string idx;
  std::string names_from;
  std::vector<std::string> class_names;
  std::string kind = "import";
  std::string source;
  std::string annotator = "import";
  std::string sample_column;
  std::string class_column;
  std::string annotator_column;
};

struct ListOptions {
  std::string task;
  std::string class_name;
  std::string method;
  std::uint64_t limit = 100;
};

struct QueueOptions {
  std::string task;
  std::string annotator;
  std::uint32_t count = 1;
  std::uint32_t lease_seconds = 600;
  std::string folder;
  std::vector<std::string> words;  // Leases, or leases and classes by turns.
  bool cannot_judge = false;
  std::string batch;
  std::string state;
  std::string reason;
  std::uint64_t limit = 100;
};

v1::AnnotatorKind KindOf(const std::string& kind) {
  if (kind == "person") return v1::ANNOTATOR_KIND_PERSON;
  if (kind == "rule") return v1::ANNOTATOR_KIND_RULE;
  if (kind == "model") return v1::ANNOTATOR_KIND_MODEL;
  return v1::ANNOTATOR_KIND_IMPORT;
}

v1::ConsensusMethod MethodOf(const std::string& method) {
  if (method == "majority") return v1::CONSENSUS_METHOD_MAJORITY;
  if (method == "dawid-skene") return v1::CONSENSUS_METHOD_DAWID_SKENE;
  return v1::CONSENSUS_METHOD_UNSPECIFIED;
}

std::string MethodName(v1::ConsensusMethod method) {
  return method == v1::CONSENSUS_METHOD_DAWID_SKENE
             ? "dawid-skene"
             : LowerEnum(v1::ConsensusMethod_Name(method), "CONSENSUS_METHOD_");
}

// Sends votes in batches and adds up what became of them.
class VoteImport {
 public:
  VoteImport(CommandLine& line, const ImportOptions& options, std::optional<std::uint64_t> expected)
      : line_(line), options_(options), expected_(expected), bar_("label import") {
    request_.set_task(options.task);
  }

  // `where` is how a rejection names the vote: a line of the file, an index.
  Result<void> Add(v1::NewVote vote, std::string where) {
    vote.set_annotator_kind(KindOf(options_.kind));
    vote.set_source(options_.source);
    *request_.add_votes() = std::move(vote);
    places_.push_back(std::move(where));
    return request_.votes_size() < kBatchVotes ? Result<void>() : Send();
  }

  Result<void> Send() {
    if (request_.votes_size() == 0) return {};
    const auto response = line_.platform().Call(&Stub::SubmitVotes, request_);
    if (!response) return response.error();
    votes_ += static_cast<std::uint64_t>(request_.votes_size());
    accepted_ += response->accepted();
    unchanged_ += response->unchanged();
    rejected_ += static_cast<std::uint64_t>(response->rejected_size());
    for (const auto& rejected : response->rejected()) {
      if (rejections_.size() == kRejectionsTold) break;
      const std::string where =
          rejected.index() < places_.size() ? places_[rejected.index()] : "vote";
      rejections_.push_back({where, rejected.reason()});
    }
    request_.clear_votes();
    places_.clear();
    bar_.Show(votes_, expected_);
    return {};
  }

  ExitStatus Report() const {
    if (line_.json()) {
      JsonObject object;
      object.Set("task", options_.task)
          .Set("votes", votes_)
          .Set("accepted", accepted_)
          .Set("unchanged", unchanged_)
          .Set("rejected", rejected_)
          .EnsureList("rejections");
      for (const auto& [where, reason] : rejections_) {
        object.Add("rejections", JsonObject().Set("where", where).Set("reason", reason));
      }
      Print(object.Text());
    } else {
      Print(FormatCount(votes_) + " votes: " + FormatCount(accepted_) + " accepted, " +
            FormatCount(unchanged_) + " unchanged, " + FormatCount(rejected_) + " rejected\n");
      if (votes_ > 0 && unchanged_ == votes_)
        Print("nothing changed: all of it was there already\n");
      for (const auto& [where, reason] : rejections_) Remark("rejected " + where + ": " + reason);
      if (rejected_ > rejections_.size()) {
        Remark("... and " + std::to_string(rejected_ - rejections_.size()) + " more");
      }
    }
    return rejected_ == 0 ? ExitStatus::kOk : ExitStatus::kPartly;
  }

 private:
  CommandLine& line_;
  const ImportOptions& options_;
  const std::optional<std::uint64_t> expected_;
  ProgressBar bar_;
  v1::SubmitVotesRequest request_;
  std::vector<std::string> places_;
  std::uint64_t votes_ = 0;
  std::uint64_t accepted_ = 0;
  std::uint64_t unchanged_ = 0;
  std::uint64_t rejected_ = 0;
  std::vector<std::pair<std::string, std::string>> rejections_;
};

// The named column, or the first of the usual names that is there.
Result<std::size_t> FindColumn(const CsvReader& table, const std::string& file,
                               const std::string& named, const std::vector<std::string>& usual) {
  for (const auto& name : named.empty() ? usual : std::vector<std::string>{named}) {
    if (const auto found = table.Find(name)) return *found;
  }
  std::string wanted;
  for (const auto& name : named.empty() ? usual : std::vector<std::string>{named}) {
    wanted += (wanted.empty() ? "" : ", ") + name;
  }
  return Error{ErrorCode::kInvalidArgument, file + ": no column named " + wanted};
}

void SetSubject(const std::string& text, v1::NewVote* vote) {
  if (IsUuid(text)) {
    vote->set_sample_id(text);
  } else if (Digest::FromHex(text)) {
    vote->set_sha256(text);
  } else {
    vote->set_sample_name(text);
  }
}

Result<ExitStatus> ImportCsv(CommandLine& line, const ImportOptions& options) {
  auto table = CsvReader::Open(options.file);
  if (!table) return table.error();
  const auto sample = FindColumn(*table, options.file, options.sample_column,
                                 {"sample", "name", "path", "sample_id", "sha256"});
  if (!sample) return sample.error();
  const auto class_name =
      FindColumn(*table, options.file, options.class_column, {"class", "label", "class_name"});
  if (!class_name) return class_name.error();
  std::optional<std::size_t> annotator = table->Find("annotator");
  if (!options.annotator_column.empty()) {
    const auto named = FindColumn(*table, options.file, options.annotator_column, {});
    if (!named) return named.error();
    annotator = *named;
  }
  const auto voted_at = table->Find("voted_at");

  VoteImport import(line, options, std::nullopt);
  while (true) {
    auto row = table->Next();
    if (!row) return row.error();
    if (!row->has_value()) break;
    auto& fields = (*row)->fields;
    const std::string where = "line " + std::to_string((*row)->line);
    v1::NewVote vote;
    SetSubject(fields[*sample], &vote);
    vote.set_class_name(fields[*class_name]);
    vote.set_annotator(annotator && !fields[*annotator].empty() ? fields[*annotator]
                                                                : options.annotator);
    if (voted_at && !fields[*voted_at].empty()) {
      const auto time = ParseUtc(fields[*voted_at]);
      if (!time) return Prefixed(options.file + ": " + where + ": voted_at: ", time.error());
      *vote.mutable_voted_at() = rpc::ToProto(*time);
    }
    if (auto added = import.Add(std::move(vote), where); !added) return added.error();
  }
  if (auto sent = import.Send(); !sent) return sent.error();
  return import.Report();
}

Result<ExitStatus> ImportIdx(CommandLine& line, const ImportOptions& options) {
  if (options.names_from.empty() || options.class_names.empty()) {
    return Error{ErrorCode::kInvalidArgument,
                 "--idx needs --names-from IMAGES_FILE and --class-names a,b,c"};
  }
  auto labels = IdxLabels::Open(options.idx);
  if (!labels) return labels.error();
  VoteImport import(line, options, labels->size());
  for (std::uint64_t index = 0;; ++index) {
    const auto label = labels->Next();
    if (!label) return label.error();
    if (!label->has_value()) break;
    if (**label >= options.class_names.size()) {
      return Error{ErrorCode::kInvalidArgument,
                   options.idx + ": label " + std::to_string(**label) + " at " +
                       std::to_string(index) + ", but --class-names has " +
                       std::to_string(options.class_names.size()) + " names"};
    }
    v1::NewVote vote;
    vote.set_sample_name(IdxPictureName(options.names_from, index));
    vote.set_class_name(options.class_names[**label]);
    vote.set_annotator(options.annotator);
    if (auto added = import.Add(std::move(vote), IdxPictureName(options.names_from, index));
        !added) {
      return added.error();
    }
  }
  if (auto sent = import.Send(); !sent) return sent.error();
  return import.Report();
}

Result<ExitStatus> Import(CommandLine& line, ImportOptions options) {
  if (options.file.empty() == options.idx.empty()) {
    return Error{ErrorCode::kInvalidArgument, "label import: name a CSV file or --idx, not both"};
  }
  if (options.source.empty()) {
    options.source = std::filesystem::path(options.file.empty() ? options.idx : options.file)
                         .filename()
                         .string();
  }
  return options.file.empty() ? ImportIdx(line, options) : ImportCsv(line, options);
}

Result<ExitStatus> Compute(CommandLine& line, const ListOptions& options) {
  v1::ComputeLabelsRequest request;
  request.set_task(options.task);
  request.set_method(MethodOf(options.method));
  const auto computed = line.platform().Call(&Stub::ComputeLabels, request);
  if (!computed) return computed.error();
  if (line.json()) {
    Print(ToJson(*computed));
    return ExitStatus::kOk;
  }
  Print(MethodName(computed->method()) + ": " + FormatCount(computed->votes()) + " votes on " +
        FormatCount(computed->samples()) + " samples; " + FormatCount(computed->changed()) +
        " labels changed, " + FormatCount(computed->unchanged()) + " unchanged, " +
        FormatCount(computed->without_label()) + " without a label, " +
        FormatCount(computed->ties()) + " ties, " + std::to_string(computed->rounds()) +
        " rounds, " + FormatNumber(computed->seconds(), 2) + " s\n");
  return ExitStatus::kOk;
}

Result<ExitStatus> ListLabels(CommandLine& line, const ListOptions& options) {
  v1::ListLabelsRequest request;
  request.set_task(options.task);
  request.set_class_name(options.class_name);
  const auto list = line.platform().CallList(&Stub::ListLabels, request, options.limit);
  if (!list) return list.error();
  if (line.json()) {
    Print(ToJson(*list));
    return ExitStatus::kOk;
  }
  Table table({"SAMPLE", "CLASS", ">CONFIDENCE", "METHOD", ">VERSION", ">VOTES", "DECIDED"});
  for (const auto& label : list->labels()) {
    table.Add({label.sample_id(), label.class_name(), FormatNumber(label.confidence()),
               MethodName(label.method()), std::to_string(label.version()),
               std::to_string(label.votes()), FormatTime(label.decided_at())});
  }
  Print(table.Text());
  RemarkOnRest(list->next_page_token());
  return ExitStatus::kOk;
}

Result<ExitStatus> ListAnnotators(CommandLine& line, const ListOptions& options) {
  v1::ListAnnotatorsRequest request;
  request.set_task(options.task);
  const auto list = line.platform().CallList(&Stub::ListAnnotators, request, options.limit);
  if (!list) return list.error();
  if (line.json()) {
    Print(ToJson(*list));
    return ExitStatus::kOk;
  }
  Table table(
      {"ANNOTATOR", "KIND", ">VOTES", ">QUALITY", ">AGREEMENT", ">OF LATE", ">BEFORE", ">P WORSE"});
  const auto share = [](std::uint64_t agreed, std::uint64_t votes) {
    return votes == 0 ? std::string("-") : FormatCount(agreed) + " of " + FormatCount(votes);
  };
  for (const auto& annotator : list->annotators()) {
    table.Add({annotator.annotator(),
               LowerEnum(v1::AnnotatorKind_Name(annotator.kind()), "ANNOTATOR_KIND_"),
               FormatCount(annotator.votes()),
               annotator.has_quality() ? FormatNumber(annotator.quality(), 3) : "-",
               annotator.has_agreement() ? FormatNumber(annotator.agreement(), 3) : "-",
               share(annotator.recent_agreed(), annotator.recent_votes()),
               share(annotator.earlier_agreed(), annotator.earlier_votes()),
               annotator.has_worse_p_value() ? FormatNumber(annotator.worse_p_value(), 6) : "-"});
  }
  Print(table.Text());
  RemarkOnRest(list->next_page_token());
  return ExitStatus::kOk;
}

// ".png" for "image/png"; nothing for what is not known.
std::string EndingOf(const std::string& content_type) {
  if (content_type == "image/jpeg") return ".jpg";
  if (content_type == "image/png") return ".png";
  if (content_type == "image/webp") return ".webp";
  if (content_type == "image/x-portable-graymap") return ".pgm";
  if (content_type == "image/x-portable-pixmap") return ".ppm";
  return "";
}

// Writes the sample's payload to a file in the folder; its path.
Result<std::string> SavePayload(CommandLine& line, const std::string& folder,
                                const v1::QueueItem& item) {
  ingestion::v1::GetSamplePayloadRequest request;
  request.set_sample_id(item.sample_id());
  const auto payload =
      line.platform().Call(&ingestion::v1::IngestionService::Stub::GetSamplePayload, request);
  if (!payload) return payload.error();
  std::error_code problem;
  std::filesystem::create_directories(folder, problem);
  const std::filesystem::path path =
      std::filesystem::path(folder) / (item.lease_id() + EndingOf(payload->content_type()));
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << payload->payload();
  file.close();
  if (!file) return Error{ErrorCode::kPermissionDenied, path.string() + ": cannot be written"};
  return path.string();
}

Result<ExitStatus> NextItems(CommandLine& line, const QueueOptions& options) {
  v1::LeaseItemsRequest request;
  request.set_task(options.task);
  request.set_annotator(options.annotator.empty() ? line.actor() : options.annotator);
  request.set_count(options.count);
  request.set_lease_seconds(options.lease_seconds);
  const auto leased = line.platform().Call(&QueueStub::LeaseItems, request);
  if (!leased) return leased.error();
  std::vector<std::string> files;
  if (!options.folder.empty()) {
    for (const auto& item : leased->items()) {
      const auto file = SavePayload(line, options.folder, item);
      if (!file) return file.error();
      files.push_back(*file);
    }
  }
  if (line.json()) {
    if (files.empty()) {
      Print(ToJson(*leased));
      return ExitStatus::kOk;
    }
    JsonObject object;
    object.EnsureList("items");
    for (int i = 0; i < leased->items_size(); ++i) {
      const auto& item = leased->items(i);
      const auto until = rpc::FromProto(item.leased_until());
      object.Add("items", JsonObject()
                              .Set("lease_id", item.lease_id())
                              .Set("sample_id", item.sample_id())
                              .Set("task", item.task())
                              .Set("reason", item.reason())
                              .Set("leased_until", until ? FormatUtc(*until) : std::string())
                              .Set("file", files[static_cast<std::size_t>(i)]));
    }
    Print(object.Text());
    return ExitStatus::kOk;
  }
  if (leased->items_size() == 0) {
    Print("nothing waits for " + request.annotator() + "\n");
    return ExitStatus::kOk;
  }
  Table table({"LEASE", "SAMPLE", "TASK", "REASON", "UNTIL", "FILE"});
  for (int i = 0; i < leased->items_size(); ++i) {
    const auto& item = leased->items(i);
    table.Add({item.lease_id(), item.sample_id(), item.task(), item.reason(),
               FormatTime(item.leased_until()),
               files.empty() ? "-" : files[static_cast<std::size_t>(i)]});
  }
  Print(table.Text());
  return ExitStatus::kOk;
}

Result<ExitStatus> SubmitLeased(CommandLine& line, const QueueOptions& options) {
  if (options.words.size() % 2 != 0) {
    return Error{ErrorCode::kInvalidArgument,
                 "label submit: lease and class come in pairs: LEASE CLASS [LEASE CLASS ...]"};
  }
  v1::SubmitLeasedVotesRequest request;
  request.set_annotator(options.annotator.empty() ? line.actor() : options.annotator);
  for (std::size_t i = 0; i < options.words.size(); i += 2) {
    auto* vote = request.add_votes();
    vote->set_lease_id(options.words[i]);
    vote->set_class_name(options.words[i + 1]);
  }
  const auto submitted = line.platform().Call(&QueueStub::SubmitLeasedVotes, request);
  if (!submitted) return submitted.error();
  if (line.json()) {
    Print(ToJson(*submitted));
  } else {
    Print(FormatCount(submitted->accepted()) + " accepted, " + FormatCount(submitted->unchanged()) +
          " unchanged, " + FormatCount(static_cast<std::uint64_t>(submitted->rejected_size())) +
          " rejected\n");
    for (const auto& rejected : submitted->rejected()) {
      const std::size_t place = std::size_t{2} * rejected.index();
      Remark("rejected " + (place < options.words.size() ? options.words[place] : "vote") + ": " +
             rejected.reason());
    }
  }
  return submitted->rejected_size() == 0 ? ExitStatus::kOk : ExitStatus::kPartly;
}

Result<ExitStatus> ReleaseLeased(CommandLine& line, const QueueOptions& options) {
  v1::ReleaseItemsRequest request;
  request.set_annotator(options.annotator.empty() ? line.actor() : options.annotator);
  request.set_cannot_judge(options.cannot_judge);
  for (const auto& lease : options.words) request.add_lease_ids(lease);
  const auto released = line.platform().Call(&QueueStub::ReleaseItems, request);
  if (!released) return released.error();
  if (line.json()) {
    Print(ToJson(*released));
  } else {
    Print(FormatCount(released->released()) + " given back\n");
  }
  return released->released() == options.words.size() ? ExitStatus::kOk : ExitStatus::kPartly;
}

Result<ExitStatus> ListQueue(CommandLine& line, const QueueOptions& options) {
  v1::ListQueueRequest request;
  request.set_task(options.task);
  request.set_batch_id(options.batch);
  request.set_state(options.state);
  const auto list = line.platform().CallList(&QueueStub::ListQueue, request, options.limit);
  if (!list) return list.error();
  if (line.json()) {
    Print(ToJson(*list));
    return ExitStatus::kOk;
  }
  Table table(
      {"SAMPLE", "TASK", "BATCH", ">PRIORITY", "REASON", "STATE", ">VOTES", "WITH", "UNTIL"});
  for (const auto& item : list->items()) {
    table.Add({item.sample_id(), item.task(), item.batch_id(), FormatNumber(item.priority(), 3),
               item.gold() ? item.reason() + " (known)" : item.reason(), item.state(),
               std::to_string(item.votes()) + "/" + std::to_string(item.votes_wanted()),
               item.leased_by().empty() ? "-" : item.leased_by(),
               item.has_leased_until() ? FormatTime(item.leased_until()) : "-"});
  }
  Print(table.Text());
  RemarkOnRest(list->next_page_token());
  return ExitStatus::kOk;
}

void AddBatch(const v1::Batch& batch, Table* table) {
  table->Add({batch.batch_id(), batch.task(), batch.state(), FormatCount(batch.items()),
              FormatCount(batch.answered()), FormatCount(batch.unjudged()),
              FormatCount(batch.gold_items()), FormatCount(batch.votes()),
              FormatCount(batch.labels()), FormatTime(batch.queued_at()),
              batch.has_completed_at() ? FormatTime(batch.completed_at()) : "-"});
}

Table BatchTable() {
  return Table({"BATCH", "TASK", "STATE", ">SAMPLES", ">ANSWERED", ">UNJUDGED", ">KNOWN", ">VOTES",
                ">LABELS", "QUEUED", "COMPLETE"});
}

Result<ExitStatus> ListBatches(CommandLine& line, const QueueOptions& options) {
  v1::ListBatchesRequest request;
  request.set_task(options.task);
  const auto list = line.platform().CallList(&QueueStub::ListBatches, request, options.limit);
  if (!list) return list.error();
  if (line.json()) {
    Print(ToJson(*list));
    return ExitStatus::kOk;
  }
  Table table = BatchTable();
  for (const auto& batch : list->batches()) AddBatch(batch, &table);
  Print(table.Text());
  RemarkOnRest(list->next_page_token());
  return ExitStatus::kOk;
}

Result<ExitStatus> CancelBatch(CommandLine& line, const QueueOptions& options) {
  v1::CancelBatchRequest request;
  request.set_batch_id(options.batch);
  request.set_reason(options.reason);
  const auto cancelled = line.platform().Call(&QueueStub::CancelBatch, request);
  if (!cancelled) return cancelled.error();
  if (line.json()) {
    Print(ToJson(*cancelled));
    return ExitStatus::kOk;
  }
  Table table = BatchTable();
  AddBatch(cancelled->batch(), &table);
  Print(table.Text());
  return ExitStatus::kOk;
}

void AddAs(CLI::App* command, std::string* annotator) {
  command->add_option("--as", *annotator, "Who judges (default: --actor, else $USER)");
}

void AddQueueCommands(CommandLine& line, CLI::App* group) {
  const auto next = std::make_shared<QueueOptions>();
  auto* command =
      line.AddCommand(group, "next", "Take the next samples of the queue to judge them");
  command->add_option("--task", next->task, "Only of this task");
  AddAs(command, &next->annotator);
  command->add_option("--count", next->count, "How many, at most 100")
      ->check(CLI::Range(1U, 100U))
      ->capture_default_str();
  command->add_option("--lease", next->lease_seconds, "For how many seconds they are yours")
      ->check(CLI::Range(1U, 86'400U))
      ->capture_default_str();
  command->add_option("--save", next->folder, "Write their payloads into this folder to look at");
  line.OnRun(command, [&line, next] { return NextItems(line, *next); });

  const auto submit = std::make_shared<QueueOptions>();
  command = line.AddCommand(group, "submit", "Say what leased samples are");
  command->add_option("LEASE CLASS", submit->words, "Pairs of a lease and a class")->required();
  AddAs(command, &submit->annotator);
  line.OnRun(command, [&line, submit] { return SubmitLeased(line, *submit); });

  const auto release = std::make_shared<QueueOptions>();
  command = line.AddCommand(group, "release", "Give leased samples back");
  command->add_option("LEASE", release->words, "Leases")->required();
  command->add_flag("--cannot-judge", release->cannot_judge, "They cannot be judged; not me again");
  AddAs(command, &release->annotator);
  line.OnRun(command, [&line, release] { return ReleaseLeased(line, *release); });

  const auto queue = std::make_shared<QueueOptions>();
  command = line.AddCommand(group, "queue", "List queued samples");
  command->add_option("--task", queue->task, "Only of this task");
  command->add_option("--batch", queue->batch, "Only of this batch");
  command->add_option("--state", queue->state, "waiting, leased, answered, unjudged or cancelled")
      ->check(CLI::IsMember({"waiting", "leased", "answered", "unjudged", "cancelled"}));
  AddLimit(command, &queue->limit);
  line.OnRun(command, [&line, queue] { return ListQueue(line, *queue); });

  const auto batches = std::make_shared<QueueOptions>();
  command = line.AddCommand(group, "batches", "List batches of queued samples, newest first");
  command->add_option("--task", batches->task, "Only of this task");
  AddLimit(command, &batches->limit);
  line.OnRun(command, [&line, batches] { return ListBatches(line, *batches); });

  const auto cancel = std::make_shared<QueueOptions>();
  command = line.AddCommand(group, "cancel", "Withdraw what nobody has answered of a batch");
  command->add_option("BATCH", cancel->batch, "The batch's id")->required();
  command->add_option("--reason", cancel->reason, "Why")->required();
  line.OnRun(command, [&line, cancel] { return CancelBatch(line, *cancel); });
}

}  // namespace

void AddLabelCommands(CommandLine& line) {
  auto* group = line.AddGroup("label", "Votes, what they amount to, and what waits for votes");
  const auto import = std::make_shared<ImportOptions>();
  auto* command = line.AddCommand(group, "import", "Import votes from a CSV file or IDX labels");
  AddTask(command, &import->task);
  command->add_option("FILE.csv", import->file,
                      "Columns sample (name, SHA-256 or id), class, annotator, voted_at");
  command->add_option("--idx", import->idx, "IDX file of labels (also .gz)");
  command->add_option("--names-from", import->names_from,
                      "With --idx: the IDX file of pictures as it was pushed");
  command
      ->add_option("--class-names", import->class_names,
                   "With --idx: the classes' names in the order of their numbers")
      ->delimiter(',');
  command->add_option("--kind", import->kind, "import, person, rule or model")
      ->check(CLI::IsMember({"import", "person", "rule", "model"}))
      ->capture_default_str();
  command->add_option("--source", import->source, "Where the votes come from (default: the file)");
  command
      ->add_option("--annotator", import->annotator, "Whose votes they are, where no column says")
      ->capture_default_str();
  command->add_option("--sample-column", import->sample_column,
                      "Default: sample, name, path, sample_id or sha256");
  command->add_option("--class-column", import->class_column,
                      "Default: class, label or class_name");
  command->add_option("--annotator-column", import->annotator_column, "Default: annotator");
  line.OnRun(command, [&line, import] { return Import(line, *import); });

  const auto compute = std::make_shared<ListOptions>();
  command = line.AddCommand(group, "compute", "Make one label of each sample's votes");
  AddTask(command, &compute->task);
  command->add_option("--method", compute->method, "majority or dawid-skene (default: the task's)")
      ->check(CLI::IsMember({"majority", "dawid-skene"}));
  line.OnRun(command, [&line, compute] { return Compute(line, *compute); });

  const auto annotators = std::make_shared<ListOptions>();
  command = line.AddCommand(group, "annotators", "Who voted, and how good they were found to be");
  AddTask(command, &annotators->task);
  AddLimit(command, &annotators->limit);
  line.OnRun(command, [&line, annotators] { return ListAnnotators(line, *annotators); });

  AddQueueCommands(line, group);

  const auto labels = std::make_shared<ListOptions>();
  command = line.AddCommand(&line.app(), "labels", "List the labels in force");
  AddTask(command, &labels->task);
  command->add_option("--class", labels->class_name, "Only of this class");
  AddLimit(command, &labels->limit);
  line.OnRun(command, [&line, labels] { return ListLabels(line, *labels); });
}

}  // namespace tidewheel::cli
