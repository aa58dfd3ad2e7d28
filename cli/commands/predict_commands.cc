#include <algorithm>
#include <charconv>
#include <memory>

#include "tidewheel/base/ids.h"
#include "tidewheel/cli/commands/command.h"
#include "tidewheel/cli/readers/csv_reader.h"
#include "tidewheel/cli/readers/open_pictures.h"
#include "tidewheel/cli/readers/text_rules.h"
#include "tidewheel/inference/v1/inference_service.grpc.pb.h"

namespace tidewheel::cli {
namespace {

namespace v1 = inference::v1;
using Stub = v1::InferenceService::Stub;

// What Predict takes at most in one request.
constexpr int kMaxPictures = 64;
constexpr std::size_t kMaxRequestBytes = std::size_t{16} << 20;
constexpr int kMaxOutcomes = 1'000;

struct PredictOptions {
  std::string task;
  std::vector<std::string> paths;
  std::string request_id;
};

struct OutcomeOptions {
  std::string task;
  std::string request_id;
  std::uint32_t index = 0;
  std::string class_name;
  std::string source;
  std::string file;
};

// Sends pictures in requests of up to 64 and prints an answer for each.
class Predictions {
 public:
  Predictions(CommandLine& line, const PredictOptions& options)
      : line_(line),
        options_(options),
        table_({"PICTURE", "CLASS", ">CONFIDENCE", "MODEL", "REQUEST"}) {
    object_.Set("task", options.task).EnsureList("predictions").EnsureList("refusals");
  }

  Result<void> Add(Picture picture) {
    if (static_cast<int>(names_.size()) == kMaxPictures ||
        bytes_ + picture.payload.size() > kMaxRequestBytes) {
      if (auto sent = Send(); !sent) return sent;
    }
    bytes_ += picture.payload.size();
    names_.push_back(std::move(picture.name));
    payloads_.push_back(std::move(picture.payload));
    return {};
  }

  void Refuse(const std::string& name, const std::string& reason) {
    ++refused_;
    object_.Add("refusals",
                JsonObject().Set("name", Printable(name)).Set("reason", Printable(reason)));
    Remark("refused " + name + ": " + reason);
  }

  Result<void> Send() {
    if (names_.empty()) return {};
    auto sent = SendRange(0, names_.size());
    // One broken picture fails its request: the others are asked for on their own.
    if (!sent && sent.error().code == ErrorCode::kInvalidArgument) {
      sent = Result<void>();
      for (std::size_t i = 0; i < names_.size() && sent; ++i) {
        const auto one = SendRange(i, i + 1);
        if (one) continue;
        if (one.error().code != ErrorCode::kInvalidArgument)
          sent = one;
        else
          Refuse(names_[i], one.error().message);
      }
    }
    names_.clear();
    payloads_.clear();
    bytes_ = 0;
    return sent;
  }

  ExitStatus Report() {
    if (line_.json()) {
      Print(object_.Text());
    } else if (!table_.empty()) {
      Print(table_.Text());
    }
    if (refused_ == 0) return ExitStatus::kOk;
    return predicted_ == 0 ? ExitStatus::kFailed : ExitStatus::kPartly;
  }

 private:
  Result<void> SendRange(std::size_t begin, std::size_t end) {
    v1::PredictRequest request;
    request.set_task(options_.task);
    // An id belongs to one request: the second of a caller's own gets a number.
    std::string id = options_.request_id.empty() ? NewUuid() : options_.request_id;
    if (!options_.request_id.empty() && requests_ > 0) id += "-" + std::to_string(requests_ + 1);
    ++requests_;
    request.set_request_id(id);
    for (std::size_t i = begin; i < end; ++i) {
      request.mutable_pictures()->add_payloads(payloads_[i]);
    }
    const auto response = line_.platform().Call(&Stub::Predict, request);
    if (!response) return response.error();
    if (static_cast<std::size_t>(response->predictions_size()) != end - begin) {
      return Error{ErrorCode::kInternal,
                   "inference: " + std::to_string(response->predictions_size()) +
                       " predictions for " + std::to_string(end - begin) + " pictures"};
    }
    for (int i = 0; i < response->predictions_size(); ++i) {
      const auto& prediction = response->predictions(i);
      const std::string& name = names_[begin + static_cast<std::size_t>(i)];
      ++predicted_;
      if (line_.json()) {
        JsonObject probabilities;
        const int classes = std::min(response->classes_size(), prediction.probabilities_size());
        for (int c = 0; c < classes; ++c) {
          probabilities.Set(response->classes(c), static_cast<double>(prediction.probabilities(c)));
        }
        object_.Add("predictions",
                    JsonObject()
                        .Set("name", name)
                        .Set("request_id", response->request_id())
                        .Set("index", static_cast<std::uint64_t>(i))
                        .Set("class_name", prediction.class_name())
                        .Set("confidence", static_cast<double>(prediction.confidence()))
                        .Set("probabilities", probabilities)
                        .Set("model_version_id", response->model_version_id())
                        .Set("model_version", std::uint64_t{response->model_version()}));
      } else {
        table_.Add({name, prediction.class_name(),
                    FormatNumber(static_cast<double>(prediction.confidence())),
                    options_.task + "@" + std::to_string(response->model_version()),
                    response->request_id() + (end - begin > 1 ? "#" + std::to_string(i) : "")});
      }
    }
    return {};
  }

  CommandLine& line_;
  const PredictOptions& options_;
  Table table_;
  JsonObject object_;
  std::vector<std::string> names_;
  std::vector<std::string> payloads_;
  std::size_t bytes_ = 0;
  std::uint64_t requests_ = 0;
  std::uint64_t predicted_ = 0;
  std::uint64_t refused_ = 0;
};

Result<ExitStatus> Predict(CommandLine& line, const PredictOptions& options) {
  ReadOptions read;
  read.max_payload_bytes = kMaxRequestBytes;
  Predictions predictions(line, options);
  for (const std::string& path : options.paths) {
    auto source = OpenPictures(path, std::nullopt, read);
    if (!source) return source.error();
    while (true) {
      auto next = (*source)->Next();
      if (!next) return next.error();
      if (!next->has_value()) break;
      if (auto* refused = std::get_if<RefusedPicture>(&**next)) {
        predictions.Refuse(refused->name, refused->reason);
        continue;
      }
      if (auto added = predictions.Add(std::get<Picture>(**std::move(next))); !added) {
        return added.error();
      }
    }
  }
  if (auto sent = predictions.Send(); !sent) return sent.error();
  return predictions.Report();
}

Result<ExitStatus> RecordOutcomes(CommandLine& line, const OutcomeOptions& options) {
  std::uint64_t accepted = 0;
  v1::RecordOutcomesRequest request;
  request.set_task(options.task);
  const auto send = [&]() -> Result<void> {
    if (request.outcomes_size() == 0) return {};
    const auto response = line.platform().Call(&Stub::RecordOutcomes, request);
    if (!response) return response.error();
    accepted += response->accepted();
    request.clear_outcomes();
    return {};
  };
  const auto add = [&](const std::string& id, std::uint32_t index, const std::string& class_name) {
    auto* outcome = request.add_outcomes();
    outcome->set_request_id(id);
    outcome->set_index(index);
    outcome->set_class_name(class_name);
    outcome->set_source(options.source);
  };

  if (options.file.empty()) {
    if (options.request_id.empty() || options.class_name.empty()) {
      return Error{ErrorCode::kInvalidArgument,
                   "outcome: needs --request-id and --class, or a CSV file"};
    }
    add(options.request_id, options.index, options.class_name);
  } else {
    auto table = CsvReader::Open(options.file);
    if (!table) return table.error();
    const auto id = table->Find("request_id");
    const auto index = table->Find("index");
    const auto class_name = table->Find("class");
    if (!id || !class_name) {
      return Error{ErrorCode::kInvalidArgument,
                   options.file + ": needs the columns request_id and class (index may be there)"};
    }
    while (true) {
      const auto row = table->Next();
      if (!row) return row.error();
      if (!row->has_value()) break;
      const auto& fields = (*row)->fields;
      std::uint32_t number = 0;
      if (index) {
        const std::string& text = fields[*index];
        const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
        if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) {
          return Error{ErrorCode::kInvalidArgument,
                       options.file + ": line " + std::to_string((*row)->line) + ": index \"" +
                           Printable(text) + "\" is no number"};
        }
      }
      add(fields[*id], number, fields[*class_name]);
      if (request.outcomes_size() == kMaxOutcomes) {
        if (auto sent = send(); !sent) return sent.error();
      }
    }
  }
  if (auto sent = send(); !sent) return sent.error();
  if (line.json()) {
    Print(JsonObject().Set("task", options.task).Set("accepted", accepted).Text());
  } else {
    Print(FormatCount(accepted) + " outcomes accepted\n");
  }
  return ExitStatus::kOk;
}

Result<ExitStatus> ListLoadedModels(CommandLine& line, std::uint64_t limit) {
  const auto list =
      line.platform().CallList(&Stub::ListLoadedModels, v1::ListLoadedModelsRequest(), limit);
  if (!list) return list.error();
  if (line.json()) {
    Print(ToJson(*list));
    return ExitStatus::kOk;
  }
  Table table({"MODEL", "ID", ">PREDICTIONS", "LOADED", "PROBLEM"});
  for (const auto& model : list->models()) {
    table.Add({model.task() + "@" + std::to_string(model.model_version()), model.model_version_id(),
               FormatCount(model.predictions()), FormatTime(model.loaded_at()), model.problem()});
  }
  Print(table.Text());
  RemarkOnRest(list->next_page_token());
  return ExitStatus::kOk;
}

}  // namespace

void AddPredictCommands(CommandLine& line) {
  const auto predict = std::make_shared<PredictOptions>();
  auto* command = line.AddCommand(&line.app(), "predict", "Ask the model that serves a task");
  AddTask(command, &predict->task);
  command->add_option("PATH", predict->paths, "Pictures, folders, archives, IDX files")->required();
  command->add_option("--request-id", predict->request_id, "Yours (default: a new one)");
  line.OnRun(command, [&line, predict] { return Predict(line, *predict); });

  const auto outcome = std::make_shared<OutcomeOptions>();
  command = line.AddCommand(&line.app(), "outcome", "Tell what turned out to be true");
  AddTask(command, &outcome->task);
  command->add_option("FILE.csv", outcome->file, "Columns request_id, class, index");
  command->add_option("--request-id", outcome->request_id, "Of the prediction");
  command->add_option("--index", outcome->index, "Which picture of the request, from 0")
      ->capture_default_str();
  command->add_option("--class", outcome->class_name, "The true class");
  command->add_option("--source", outcome->source, "Such as inspection or customer");
  line.OnRun(command, [&line, outcome] { return RecordOutcomes(line, *outcome); });

  const auto limit = std::make_shared<std::uint64_t>(100);
  command = line.AddCommand(&line.app(), "loaded", "List the models that inference has loaded");
  AddLimit(command, limit.get());
  line.OnRun(command, [&line, limit] { return ListLoadedModels(line, *limit); });
}

}  // namespace tidewheel::cli
