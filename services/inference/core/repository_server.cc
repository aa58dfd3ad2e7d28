#include "tidewheel/inference/core/repository_server.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <functional>
#include <limits>
#include <set>
#include <system_error>
#include <thread>
#include <utility>

#include "tidewheel/inference/core/config_tree.h"
#include "tidewheel/inference/core/ensemble.h"
#include "tidewheel/inference/core/model_config.h"
#include "tidewheel/inference/core/request_check.h"

namespace tidewheel::inference {
namespace {

namespace fs = std::filesystem;

// Graphs of graphs of graphs: more is a mistake.
constexpr int kMostGraphDepth = 16;
constexpr std::size_t kMostVersionDigits = 18;
constexpr std::size_t kMostModels = 10'000;
// Of one model, versions that Index still tells of.
constexpr std::size_t kMostStates = 1'000;

std::string Quoted(const std::string& name) { return "\"" + name.substr(0, 80) + "\""; }

/// A name is a folder's, and nothing that leads out of it.
bool IsPlainName(const std::string& name) {
  return !name.empty() && name.size() <= 255 && name.front() != '.' &&
         name.find_first_of(std::string("/\\\0\n", 4)) == std::string::npos;
}

std::optional<std::uint64_t> VersionNumber(std::string_view text) {
  if (text.empty() || text.size() > kMostVersionDigits) return std::nullopt;
  std::uint64_t number = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
  if (read.ec != std::errc{} || read.ptr != text.data() + text.size()) return std::nullopt;
  return number;
}

std::vector<std::uint64_t> VersionsIn(const fs::path& folder) {
  std::vector<std::uint64_t> versions;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    if (!at->is_directory(error)) continue;
    const std::string name = at->path().filename().string();
    // "007" and "7" would be two folders of one version.
    const auto number = VersionNumber(name);
    if (number && std::to_string(*number) == name) versions.push_back(*number);
  }
  std::sort(versions.begin(), versions.end());
  return versions;
}

/// Changes whenever a file below `folder` does.
std::string Signature(const fs::path& folder) {
  std::vector<std::string> lines;
  std::error_code error;
  for (fs::recursive_directory_iterator at(folder, error), end; !error && at != end;
       at.increment(error)) {
    std::error_code each;
    const auto size = at->is_regular_file(each) ? at->file_size(each) : 0;
    const auto time = fs::last_write_time(at->path(), each);
    lines.push_back(at->path().string() + " " + std::to_string(size) + " " +
                    std::to_string(time.time_since_epoch().count()));
  }
  std::sort(lines.begin(), lines.end());
  std::string all;
  for (const std::string& line : lines) all += line + "\n";
  return all;
}

/// "0,1;2,3": the first instance's CPUs, the second's, and so on in turn.
Result<std::vector<std::vector<int>>> ParseCpus(const std::string& text) {
  std::vector<std::vector<int>> sets(1);
  std::string_view rest = text;
  while (!rest.empty()) {
    int cpu = 0;
    const auto read = std::from_chars(rest.data(), rest.data() + rest.size(), cpu);
    if (read.ec != std::errc{} || cpu < 0 || cpu > 4'095) {
      return Error{ErrorCode::kInvalidArgument,
                   "parameter \"cpus\": numbers such as \"0,1;2,3\" are expected"};
    }
    sets.back().push_back(cpu);
    rest.remove_prefix(static_cast<std::size_t>(read.ptr - rest.data()));
    if (rest.empty()) break;
    if (rest.front() == ';') sets.emplace_back();
    rest.remove_prefix(1);
  }
  return sets;
}

std::vector<TensorSpec> WithoutBatch(std::vector<TensorSpec> tensors, bool batches) {
  for (TensorSpec& tensor : tensors) {
    if (batches && !tensor.shape.empty()) tensor.shape.erase(tensor.shape.begin());
  }
  return tensors;
}

/// Narrows what the file says to what the configuration says, where the two agree.
Result<void> Merge(const std::string& kind, const std::vector<TensorSpec>& configured, bool batches,
                   std::vector<TensorSpec>& tensors) {
  for (const TensorSpec& wanted : configured) {
    const auto own = std::find_if(tensors.begin(), tensors.end(), [&](const TensorSpec& tensor) {
      return tensor.name == wanted.name;
    });
    if (own == tensors.end()) {
      return Error{ErrorCode::kInvalidArgument, "the configuration has " + kind + " " +
                                                    Quoted(wanted.name) +
                                                    ", which the model has not"};
    }
    std::vector<std::int64_t> shape = wanted.shape;
    if (batches) shape.insert(shape.begin(), -1);
    bool agrees = own->type == wanted.type && own->shape.size() == shape.size();
    for (std::size_t i = 0; agrees && i < shape.size(); ++i) {
      agrees = shape[i] < 0 || own->shape[i] < 0 || shape[i] == own->shape[i];
      if (shape[i] < 0) shape[i] = own->shape[i];
    }
    if (!agrees) {
      return Error{ErrorCode::kInvalidArgument,
                   "the configuration has " + kind + " " + Quoted(wanted.name) + " as " +
                       TypeAndShape(wanted.type, shape) + ", the model as " +
                       TypeAndShape(own->type, own->shape)};
    }
    own->shape = std::move(shape);
  }
  return {};
}

Error NotExplicit() {
  return {ErrorCode::kFailedPrecondition,
          "models are loaded and unloaded on demand only in the mode \"explicit\""};
}

/// A folder of files that a caller brought; goes with the last version that came from it.
class ScratchFolder {
 public:
  explicit ScratchFolder(fs::path path) : path_(std::move(path)) {}
  ~ScratchFolder() {
    std::error_code ignored;  // What cannot be removed takes place on the disk, and harms nobody.
    fs::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const fs::path& path() const { return path_; }

 private:
  const fs::path path_;
};

Result<std::shared_ptr<ScratchFolder>> WriteFiles(const fs::path& folder,
                                                  const std::map<std::string, std::string>& files,
                                                  std::size_t most_bytes) {
  auto scratch = std::make_shared<ScratchFolder>(folder);
  std::size_t bytes = 0;
  for (const auto& [given, content] : files) {
    const std::string key = given.starts_with("file:") ? given.substr(5) : given;
    const auto slash = key.find('/');
    const std::string version = key.substr(0, slash);
    const std::string file = slash == std::string::npos ? "" : key.substr(slash + 1);
    if (!VersionNumber(version) || !IsPlainName(file)) {
      return Error{ErrorCode::kInvalidArgument,
                   "file " + Quoted(key) + " is not named <version>/<file>"};
    }
    bytes += content.size();
    if (bytes > most_bytes) {
      return Error{ErrorCode::kInvalidArgument,
                   "the files have more than " + std::to_string(most_bytes) + " bytes"};
    }
    std::error_code error;
    fs::create_directories(folder / version, error);
    std::ofstream out(folder / version / file, std::ios::binary);
    out.write(content.data(), static_cast<std::streamsize>(content.size()));
    out.close();
    if (error || !out) {
      return Error{ErrorCode::kInternal, (folder / version / file).string() + " cannot be written"};
    }
  }
  return scratch;
}

}  // namespace

struct RepositoryServer::Version {
  std::uint64_t number = 0;
  std::uint64_t generation = 0;
  ModelConfig config{};
  std::unique_ptr<Scheduler> scheduler{};  // One of the two.
  std::unique_ptr<Ensemble> graph{};
  std::shared_ptr<ScratchFolder> scratch{};
  std::atomic<std::uint64_t> hits{0};
  std::atomic<std::uint64_t> hit_nanoseconds{0};
  std::atomic<std::uint64_t> misses{0};
  std::atomic<std::uint64_t> miss_nanoseconds{0};

  const ModelSpec& spec() const { return graph != nullptr ? graph->spec() : scheduler->spec(); }
  bool Submit(InferRequest& request, Answered& answered) {
    return graph != nullptr ? graph->Submit(request, answered)
                            : scheduler->Submit(request, answered);
  }
};

struct RepositoryServer::Model {
  std::mutex changing;  // Held by the one Load, Unload, Put or Remove at a time.

  struct State {
    ModelState state = ModelState::kUnavailable;
    std::string reason{};
  };
  // Guarded by the server's mutex_.
  Versions versions{};
  std::map<std::uint64_t, State> states{};
  std::string reason{};                      // Why nothing could be loaded; of no version.
  std::optional<std::uint64_t> preferred{};  // Gets requests that name no version.
  bool wanted = false;                       // Should serve.
  bool put = false;                          // Came by Put.
  bool graph = false;                        // Its configuration is an ensemble's.
  std::string signature{};                   // Of its folder, when it was last loaded.
  std::vector<std::string> warnings{};

  std::shared_ptr<Version> Default() const {
    if (preferred) {
      if (const auto found = versions.find(*preferred); found != versions.end()) {
        return found->second;
      }
    }
    return versions.empty() ? nullptr : versions.rbegin()->second;
  }
};

struct RepositoryServer::Wanted {
  fs::path folder{};  // Of the model.
  ModelConfig config{};
  bool configured = false;
  std::vector<std::uint64_t> versions{};
  std::vector<std::string> warnings{};
  std::shared_ptr<ScratchFolder> scratch{};
};

RepositoryServer::RepositoryServer(Options options, ExecutorLoader& loader)
    : options_(std::move(options)),
      loader_(loader),
      cache_(options_.cache_bytes > 0 ? std::make_unique<ResponseCache>(options_.cache_bytes)
                                      : nullptr) {}

RepositoryServer::~RepositoryServer() {
  poller_.reset();
  std::vector<std::shared_ptr<Version>> graphs;
  std::vector<std::shared_ptr<Version>> others;
  {
    const std::lock_guard lock(mutex_);
    for (auto& [name, model] : models_) {
      for (auto& [number, version] : model->versions) {
        (version->graph != nullptr ? graphs : others).push_back(version);
      }
    }
  }
  // A graph's requests need its models to the last: they are found as long as it drains.
  for (const auto& graph : graphs) graph->graph->Drain();
  {
    const std::lock_guard lock(mutex_);
    models_.clear();
  }
  for (auto& graph : graphs) Retire(std::move(graph));
  for (auto& other : others) Retire(std::move(other));
}

Result<void> RepositoryServer::Start() {
  std::error_code error;
  if (!options_.repository.empty() && !fs::is_directory(options_.repository, error)) {
    return Error{ErrorCode::kNotFound,
                 "there is no folder " + options_.repository.string() + " of models"};
  }
  if (options_.mode == Mode::kPoll) {
    Poll();
    poller_ = std::make_unique<Worker>("models-poll", [this](const std::stop_token& stop) {
      while (pause_.Wait(stop, options_.poll_every)) Poll();
    });
  } else if (options_.mode == Mode::kNone ||
             options_.load_at_start == std::vector<std::string>{"*"}) {
    LoadAll(NamesThere());
  } else {
    LoadAll(options_.load_at_start);
  }
  started_ = true;
  return {};
}

void RepositoryServer::LoadAll(const std::vector<std::string>& names) {
  // A graph needs its models first, and may need other graphs: again while it helps.
  std::vector<std::string> left = names;
  while (!left.empty()) {
    std::vector<std::string> failed;
    for (const std::string& name : left) {
      if (!LoadNow(name, std::nullopt, {}, true)) failed.push_back(name);
    }
    const bool helped = failed.size() < left.size();
    left.clear();
    for (const std::string& name : failed) {
      const auto text =
          ReadWholeFile(options_.repository / name / "config.pbtxt", kMostConfigBytes);
      const bool graph = text && text->find("ensemble_scheduling") != std::string::npos;
      if (helped && graph) left.push_back(name);
    }
  }
}

bool RepositoryServer::LiesThere(const std::string& name) const {
  std::error_code error;
  return !options_.repository.empty() && IsPlainName(name) &&
         fs::is_directory(options_.repository / name, error);
}

std::vector<std::string> RepositoryServer::NamesThere() const {
  std::vector<std::string> names;
  if (options_.repository.empty()) return names;
  std::error_code error;
  for (fs::directory_iterator at(options_.repository, error), end; !error && at != end;
       at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (at->is_directory(error) && IsPlainName(name)) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

Result<std::shared_ptr<RepositoryServer::Model>> RepositoryServer::Ensure(const std::string& name) {
  const std::lock_guard lock(mutex_);
  if (models_.size() >= kMostModels && !models_.contains(name)) {
    return Error{ErrorCode::kResourceExhausted,
                 "the server knows its " + std::to_string(kMostModels) + " models"};
  }
  auto& model = models_[name];
  if (model == nullptr) model = std::make_shared<Model>();
  return model;
}

void RepositoryServer::Note(Model& model, std::uint64_t version, ModelState state,
                            const std::string& reason) {
  const std::lock_guard lock(mutex_);
  model.states[version] = {state, reason};
}

Result<std::shared_ptr<RepositoryServer::Version>> RepositoryServer::Find(
    const std::string& name, const std::string& version) const {
  {
    const std::lock_guard lock(mutex_);
    const auto model = models_.find(name);
    if (model != models_.end()) {
      if (version.empty()) {
        if (auto found = model->second->Default()) return found;
      } else if (const auto number = VersionNumber(version)) {
        const auto found = model->second->versions.find(*number);
        if (found != model->second->versions.end()) return found->second;
      }
    }
  }
  return WhyNot(name, version);
}

Error RepositoryServer::WhyNot(const std::string& name, const std::string& version) const {
  const std::string what =
      "model " + Quoted(name) + (version.empty() ? "" : ", version " + Quoted(version));
  if (!version.empty() && !VersionNumber(version)) {
    return {ErrorCode::kInvalidArgument, what + ": a version is a number"};
  }
  const bool there = LiesThere(name);
  const std::lock_guard lock(mutex_);
  const auto found = models_.find(name);
  if (found == models_.end()) {
    if (there) return {ErrorCode::kUnavailable, what + " is not loaded"};
    return {ErrorCode::kNotFound, "there is no " + what};
  }
  const Model& model = *found->second;
  if (!version.empty()) {
    const auto state = model.states.find(*VersionNumber(version));
    if (state == model.states.end()) return {ErrorCode::kNotFound, "there is no " + what};
    return {
        ErrorCode::kUnavailable,
        what + " is not ready" + (state->second.reason.empty() ? "" : ": " + state->second.reason)};
  }
  if (!there && !model.put && model.states.empty()) {
    return {ErrorCode::kNotFound, "there is no " + what};
  }
  return {ErrorCode::kUnavailable,
          what + " is not ready" + (model.reason.empty() ? "" : ": " + model.reason)};
}

bool RepositoryServer::ready() const {
  if (!started_.load()) return false;
  const std::lock_guard lock(mutex_);
  return std::all_of(models_.begin(), models_.end(), [](const auto& entry) {
    return !entry.second->wanted || !entry.second->versions.empty();
  });
}

Result<bool> RepositoryServer::ModelReady(const std::string& name,
                                          const std::string& version) const {
  const auto found = Find(name, version);
  if (found) return true;
  if (found.error().code == ErrorCode::kUnavailable) return false;
  return found.error();
}

Result<ModelServer::Description> RepositoryServer::Describe(const std::string& name,
                                                            const std::string& version) const {
  const auto found = Find(name, version);
  if (!found) return found.error();
  Description description{.spec = (*found)->spec()};
  const std::lock_guard lock(mutex_);
  const auto model = models_.find(name);
  if (model == models_.end()) return description;
  for (const auto& [number, loaded] : model->second->versions) {
    description.versions.push_back(std::to_string(number));
  }
  return description;
}

Result<ModelConfig> RepositoryServer::Config(const std::string& name,
                                             const std::string& version) const {
  const auto found = Find(name, version);
  if (!found) return found.error();
  return (*found)->config;
}

ModelStatistics RepositoryServer::StatisticsOf(const Version& version) const {
  ModelStatistics statistics =
      version.graph != nullptr ? version.graph->Statistics() : version.scheduler->Statistics();
  statistics.cache_hit = {version.hits.load(), version.hit_nanoseconds.load()};
  statistics.cache_miss = {version.misses.load(), version.miss_nanoseconds.load()};
  // An answer from the cache is an answer.
  statistics.success.count += statistics.cache_hit.count;
  statistics.success.nanoseconds += statistics.cache_hit.nanoseconds;
  return statistics;
}

Result<std::vector<ModelStatistics>> RepositoryServer::Statistics(
    const std::string& name, const std::string& version) const {
  std::vector<std::shared_ptr<Version>> versions;
  if (!name.empty() && !version.empty()) {
    auto found = Find(name, version);
    if (!found) return found.error();
    versions.push_back(std::move(*found));
  } else {
    if (!name.empty()) {
      if (const auto found = Find(name, ""); !found) return found.error();
    }
    const std::lock_guard lock(mutex_);
    for (const auto& [own, model] : models_) {
      if (!name.empty() && own != name) continue;
      for (const auto& [number, loaded] : model->versions) versions.push_back(loaded);
    }
  }
  std::vector<ModelStatistics> statistics;
  for (const auto& each : versions) statistics.push_back(StatisticsOf(*each));
  return statistics;
}

void RepositoryServer::Infer(InferRequest request, Answered answered) {
  while (true) {
    auto found = Find(request.model_name, request.model_version);
    if (!found) {
      answered(found.error());
      return;
    }
    const std::shared_ptr<Version> version = std::move(*found);
    if (const auto fits = FitToSpec(version->spec(), request); !fits) {
      answered(fits.error());
      return;
    }
    if (cache_ == nullptr || !version->config.response_cache) {
      if (version->Submit(request, answered)) return;
      continue;  // It drains: another one has taken its place, or none, and the table says so.
    }

    const auto start = std::chrono::steady_clock::now();
    std::string key = ResponseCache::KeyOf(version->generation, request);
    auto outputs = cache_->Find(key);
    const auto took = static_cast<std::uint64_t>(
        std::chrono::nanoseconds(std::chrono::steady_clock::now() - start).count());
    if (outputs) {
      version->hits.fetch_add(1, std::memory_order_relaxed);
      version->hit_nanoseconds.fetch_add(took, std::memory_order_relaxed);
      InferResponse response{.model_name = version->spec().name,
                             .model_version = version->spec().version,
                             .id = std::move(request.id),
                             .outputs = std::move(*outputs),
                             .batch_size = 1};
      answered(std::move(response));
      return;
    }
    version->misses.fetch_add(1, std::memory_order_relaxed);
    version->miss_nanoseconds.fetch_add(took, std::memory_order_relaxed);
    const auto original = std::make_shared<Answered>(std::move(answered));
    Answered keeps = [this, original, key = std::move(key)](Result<InferResponse> answer) {
      if (answer) cache_->Store(key, answer->outputs);
      (*original)(std::move(answer));
    };
    if (version->Submit(request, keeps)) return;
    answered = std::move(*original);
  }
}

std::vector<IndexEntry> RepositoryServer::Index(bool ready_only) const {
  const std::vector<std::string> there = ready_only ? std::vector<std::string>{} : NamesThere();
  std::vector<IndexEntry> index;
  const std::lock_guard lock(mutex_);
  for (const auto& [name, model] : models_) {
    bool any = false;
    for (const auto& [number, state] : model->states) {
      if (ready_only && state.state != ModelState::kReady) continue;
      index.push_back({name, std::to_string(number), state.state, state.reason});
      any = true;
    }
    if (!any && !ready_only) index.push_back({name, "", ModelState::kUnavailable, model->reason});
  }
  for (const std::string& name : there) {
    if (!models_.contains(name)) index.push_back({name, "", ModelState::kUnavailable, ""});
  }
  std::stable_sort(index.begin(), index.end(), [](const IndexEntry& one, const IndexEntry& other) {
    return one.name < other.name;
  });
  return index;
}

Result<RepositoryServer::Wanted> RepositoryServer::ReadWanted(
    const std::string& name, const std::optional<std::string>& config_json,
    const std::map<std::string, std::string>& files) {
  Wanted wanted{.folder = options_.repository / name};
  if (!files.empty()) {
    if (!config_json) {
      return Error{ErrorCode::kInvalidArgument, "files need a configuration beside them"};
    }
    if (options_.scratch.empty()) {
      return Error{ErrorCode::kFailedPrecondition, "this server takes no files by Load"};
    }
    auto scratch =
        WriteFiles(options_.scratch / (name + "-" + std::to_string(generations_.fetch_add(1))),
                   files, options_.most_file_bytes);
    if (!scratch) return scratch.error();
    wanted.scratch = std::move(*scratch);
    wanted.folder = wanted.scratch->path();
  } else if (!LiesThere(name)) {
    return Error{ErrorCode::kNotFound, "there is no folder of model " + Quoted(name)};
  }

  std::error_code error;
  const fs::path file = wanted.folder / "config.pbtxt";
  if (config_json || fs::exists(file, error)) {
    Result<ReadConfig> read = ReadConfig{};
    if (config_json) {
      read = ReadModelConfigJson(*config_json);
    } else {
      const auto text = ReadWholeFile(file, kMostConfigBytes);
      if (!text) return text.error();
      read = ReadModelConfigText(*text);
    }
    if (!read) return Prefixed("configuration of model " + Quoted(name) + ": ", read.error());
    wanted.configured = true;
    wanted.config = std::move(read->config);
    for (std::string& warning : read->warnings) {
      wanted.warnings.push_back("model " + Quoted(name) + ", " + warning);
    }
  }
  if (!wanted.config.name.empty() && wanted.config.name != name) {
    return Error{ErrorCode::kInvalidArgument, "the configuration of model " + Quoted(name) +
                                                  " is named " + Quoted(wanted.config.name)};
  }
  wanted.config.name = name;

  std::vector<std::uint64_t> available = VersionsIn(wanted.folder);
  if (available.empty() && !wanted.config.ensemble.empty()) available = {1};  // It has no files.
  wanted.versions = ChooseVersions(wanted.config.versions, available);
  if (wanted.versions.empty()) {
    return Error{ErrorCode::kNotFound,
                 "model " + Quoted(name) + " has " +
                     (available.empty() ? std::string("no version")
                                        : "none of the versions that its policy asks for")};
  }
  return wanted;
}

Result<void> RepositoryServer::Load(const std::string& name,
                                    const std::optional<std::string>& config_json,
                                    const std::map<std::string, std::string>& files) {
  if (options_.mode != Mode::kExplicit) return NotExplicit();
  return LoadNow(name, config_json, files, false);
}

Result<void> RepositoryServer::LoadNow(const std::string& name,
                                       const std::optional<std::string>& config_json,
                                       const std::map<std::string, std::string>& files, bool must) {
  if (!IsPlainName(name)) {
    return Error{ErrorCode::kInvalidArgument, Quoted(name) + " is no name of a model"};
  }
  if (files.empty() && !LiesThere(name)) {
    return Error{ErrorCode::kNotFound, "there is no folder of model " + Quoted(name)};
  }
  const auto ensured = Ensure(name);
  if (!ensured) return ensured.error();
  const std::shared_ptr<Model>& model = *ensured;
  const std::lock_guard changing(model->changing);
  {
    const std::lock_guard lock(mutex_);
    if (model->put && !model->versions.empty()) {
      return Error{ErrorCode::kFailedPrecondition,
                   "model " + Quoted(name) + " is served from elsewhere"};
    }
    model->wanted = model->wanted || must;
    model->put = false;
  }
  const std::string signature = files.empty() ? Signature(options_.repository / name) : "";
  const auto wanted = ReadWanted(name, config_json, files);
  const Result<void> loaded =
      wanted ? LoadLocked(name, *model, *wanted) : Result<void>(wanted.error());
  const std::lock_guard lock(mutex_);
  model->signature = signature;
  model->reason = loaded ? "" : loaded.error().message;
  if (loaded) model->wanted = true;
  if (wanted) {
    model->warnings = wanted->warnings;
    model->graph = !wanted->config.ensemble.empty();
  }
  return loaded;
}

Result<void> RepositoryServer::LoadLocked(const std::string& name, Model& model,
                                          const Wanted& wanted) {
  Versions fresh;
  for (const std::uint64_t number : wanted.versions) {
    bool serves = false;
    {
      const std::lock_guard lock(mutex_);
      serves = model.versions.contains(number);
    }
    // What serves goes on to be ready while the one beside it is loaded.
    if (!serves) Note(model, number, ModelState::kLoading, "");
    Result<std::shared_ptr<Version>> version = std::shared_ptr<Version>{};
    if (!wanted.config.ensemble.empty()) {
      version = MakeGraph(name, number, wanted.config);
    } else {
      const fs::path folder = wanted.folder / std::to_string(number);
      auto executor = loader_.Load({.name = name,
                                    .version = number,
                                    .folder = folder,
                                    .config = wanted.config,
                                    .configured = wanted.configured});
      version = executor ? MakeVersion(name, number, std::move(*executor), wanted.config,
                                       wanted.configured, wanted.folder, folder, {})
                         : Result<std::shared_ptr<Version>>(executor.error());
    }
    if (!version) {
      const Error error = Prefixed(
          "model " + Quoted(name) + ", version " + std::to_string(number) + ": ", version.error());
      for (const std::uint64_t other : wanted.versions) {
        const std::lock_guard lock(mutex_);
        const bool ready = model.versions.contains(other);
        if (other > number && !ready) {
          model.states.erase(other);
          continue;
        }
        // Those before it were loaded and are not served: all of a Load, or nothing.
        const std::string reason = other == number ? error.message
                                   : ready         ? model.states[other].reason
                                                   : "another version could not be loaded";
        model.states[other] = {ready ? ModelState::kReady : ModelState::kUnavailable, reason};
      }
      return error;
    }
    (*version)->scratch = wanted.scratch;
    fresh[number] = std::move(*version);
  }
  std::vector<std::shared_ptr<Version>> old;
  if (const auto switched = Switch(name, model, std::move(fresh), true, true, old); !switched) {
    return switched;
  }
  for (auto& version : old) Retire(std::move(version));
  return {};
}

Result<std::shared_ptr<RepositoryServer::Version>> RepositoryServer::MakeVersion(
    const std::string& name, std::uint64_t number, std::unique_ptr<Executor> executor,
    ModelConfig config, bool configured, const fs::path& model_folder, const fs::path& folder,
    const std::vector<GoldenCase>& golden) {
  if (executor == nullptr) return Error{ErrorCode::kInternal, "there is no executor"};
  ModelSpec spec = executor->spec();
  spec.name = name;
  spec.version = std::to_string(number);
  if (!configured) {
    config.max_batch_size = spec.max_batch_size;
    if (spec.max_batch_size > 1) config.batching = options_.batching;
    config.instances = std::max<std::uint32_t>(options_.scheduling.instances, 1);
  } else if (config.max_batch_size > spec.max_batch_size && config.max_batch_size > 1) {
    return Error{ErrorCode::kInvalidArgument,
                 "the configuration's max_batch_size is " + std::to_string(config.max_batch_size) +
                     ", the model takes " + std::to_string(spec.max_batch_size)};
  }
  // A batch of one is a first size of 1, which any model that batches takes.
  const bool batches = config.max_batch_size > 0;
  if (batches && spec.max_batch_size == 0) {
    return Error{ErrorCode::kInvalidArgument,
                 "the configuration has a max_batch_size, the model does not batch"};
  }
  if (const auto merged = Merge("input", config.inputs, batches, spec.inputs); !merged) {
    return merged.error();
  }
  if (const auto merged = Merge("output", config.outputs, batches, spec.outputs); !merged) {
    return merged.error();
  }
  config.name = name;
  if (config.platform.empty()) config.platform = spec.platform;
  config.inputs = WithoutBatch(spec.inputs, batches);
  config.outputs = WithoutBatch(spec.outputs, batches);
  spec.max_batch_size = config.max_batch_size;

  SchedulerOptions scheduling = options_.scheduling;
  scheduling.spec = spec;
  scheduling.max_batch_size = config.max_batch_size;
  scheduling.instances = std::max<std::uint32_t>(config.instances, 1);
  if (executor->may_block()) scheduling.inline_limit = std::chrono::nanoseconds{0};
  scheduling.batching = config.batching.value_or(
      BatchPolicy{.enabled = false, .default_queue_policy = {.allow_timeout_override = true}});
  if (const auto cpus = config.parameters.find("cpus"); cpus != config.parameters.end()) {
    auto parsed = ParseCpus(cpus->second);
    if (!parsed) return parsed.error();
    scheduling.cpus = std::move(*parsed);
  }

  auto version = std::make_shared<Version>();
  version->number = number;
  version->generation = generations_.fetch_add(1);
  version->scheduler = std::make_unique<Scheduler>(std::move(executor), std::move(scheduling));
  version->config = std::move(config);
  if (const auto warm = WarmUp(*version->scheduler, version->config, model_folder); !warm) {
    return warm.error();
  }
  const auto stored = folder.empty() ? Result<std::vector<GoldenCase>>(std::vector<GoldenCase>{})
                                     : ReadGoldenCases(folder, version->spec());
  if (!stored) return stored.error();
  for (const auto* cases : {&golden, &*stored}) {
    const auto right = CheckGolden(*version->scheduler, *cases, options_.golden_tolerance);
    if (!right) return right.error();
  }
  return version;
}

Result<std::shared_ptr<RepositoryServer::Version>> RepositoryServer::MakeGraph(
    const std::string& name, std::uint64_t number, ModelConfig config) {
  auto graph = Ensemble::Make(
      config, name, std::to_string(number),
      [this](const std::string& model, const std::string& version) -> Result<ModelSpec> {
        const auto found = Find(model, version);
        if (!found) return found.error();
        return (*found)->spec();
      },
      [this](InferRequest request, Answered answered) {
        Infer(std::move(request), std::move(answered));
      });
  if (!graph) return graph.error();
  auto version = std::make_shared<Version>();
  version->number = number;
  version->generation = generations_.fetch_add(1);
  if (config.platform.empty()) config.platform = "ensemble";
  version->config = std::move(config);
  version->graph = std::move(*graph);
  return version;
}

bool RepositoryServer::Reaches(const std::string& from, const std::string& name, int depth) const {
  if (from == name || depth > kMostGraphDepth) return true;
  const auto model = models_.find(from);
  if (model == models_.end()) return false;
  for (const auto& [number, version] : model->second->versions) {
    if (version->graph == nullptr) continue;
    for (const std::string& next : version->graph->models()) {
      if (Reaches(next, name, depth + 1)) return true;
    }
  }
  return false;
}

Result<void> RepositoryServer::Switch(const std::string& name, Model& model, Versions fresh,
                                      bool all, bool prefer,
                                      std::vector<std::shared_ptr<Version>>& old) {
  const std::lock_guard lock(mutex_);
  for (const auto& [number, version] : fresh) {
    if (version->graph == nullptr) continue;
    for (const std::string& inner : version->graph->models()) {
      if (!Reaches(inner, name, 0)) continue;
      model.states[number] = {ModelState::kUnavailable, "it is a step of itself"};
      return Error{ErrorCode::kInvalidArgument,
                   "ensemble " + Quoted(name) + " is, through model " + Quoted(inner) +
                       ", a step of itself, or more than " + std::to_string(kMostGraphDepth) +
                       " ensembles deep"};
    }
  }
  if (all) {
    for (auto& [number, version] : model.versions) {
      old.push_back(std::move(version));
      if (!fresh.contains(number)) model.states[number] = {ModelState::kUnavailable, "unloaded"};
    }
    model.versions.clear();
    model.preferred.reset();
    if (model.states.size() > kMostStates) model.states.clear();
  }
  for (auto& [number, version] : fresh) {
    auto& place = model.versions[number];
    if (place != nullptr) old.push_back(std::move(place));
    place = std::move(version);
    model.states[number] = {ModelState::kReady, ""};
    if (!all && (prefer || !model.preferred)) model.preferred = number;
  }
  return {};
}

void RepositoryServer::Retire(std::shared_ptr<Version> version) {
  if (version->graph != nullptr) {
    version->graph->Drain();
  } else {
    version->scheduler->Drain();
  }
  // Who found it just before the switch lets go at once: Submit has told them that it drains. The
  // memory is to be given back on this thread, and before the caller hears that it is.
  while (version.use_count() > 1) std::this_thread::sleep_for(std::chrono::microseconds{50});
  if (cache_ != nullptr) cache_->Forget(version->generation);
  version.reset();
}

Result<void> RepositoryServer::Unload(const std::string& name) {
  if (options_.mode != Mode::kExplicit) return NotExplicit();
  return UnloadNow(name);
}

Result<void> RepositoryServer::UnloadNow(const std::string& name) {
  std::shared_ptr<Model> model;
  {
    const std::lock_guard lock(mutex_);
    const auto found = models_.find(name);
    if (found != models_.end()) model = found->second;
  }
  if (model == nullptr) {
    if (LiesThere(name)) return {};  // It is as asked.
    return Error{ErrorCode::kNotFound, "there is no model " + Quoted(name)};
  }
  const std::lock_guard changing(model->changing);
  Versions old;
  {
    const std::lock_guard lock(mutex_);
    model->wanted = false;
    model->reason = "unloaded";
    model->preferred.reset();
    old.swap(model->versions);
    for (auto& [number, state] : model->states) {
      state = {old.contains(number) ? ModelState::kUnloading : ModelState::kUnavailable,
               old.contains(number) ? "" : state.reason};
    }
  }
  for (auto& [number, version] : old) Retire(std::move(version));
  const std::lock_guard lock(mutex_);
  for (const auto& [number, gone] : old) {
    model->states[number] = {ModelState::kUnavailable, "unloaded"};
  }
  return {};
}

Result<void> RepositoryServer::Put(const std::string& name, std::uint64_t version,
                                   std::unique_ptr<Executor> executor,
                                   std::optional<ModelConfig> config,
                                   const std::vector<GoldenCase>& golden, bool prefer) {
  if (!IsPlainName(name)) {
    return Error{ErrorCode::kInvalidArgument, Quoted(name) + " is no name of a model"};
  }
  const auto ensured = Ensure(name);
  if (!ensured) return ensured.error();
  const std::shared_ptr<Model>& model = *ensured;
  const std::lock_guard changing(model->changing);
  {
    const std::lock_guard lock(mutex_);
    if (!model->put && !model->versions.empty()) {
      return Error{ErrorCode::kFailedPrecondition,
                   "model " + Quoted(name) + " is served from the folder of models"};
    }
    model->put = true;
    if (!model->versions.contains(version)) model->states[version] = {ModelState::kLoading, ""};
  }
  const bool configured = config.has_value();
  auto made =
      MakeVersion(name, version, std::move(executor),
                  configured ? std::move(*config) : ModelConfig{}, configured, {}, {}, golden);
  if (!made) {
    Error error = Prefixed("model " + Quoted(name) + ", version " + std::to_string(version) + ": ",
                           made.error());
    const std::lock_guard lock(mutex_);
    model->states[version] = {
        model->versions.contains(version) ? ModelState::kReady : ModelState::kUnavailable,
        error.message};
    if (model->versions.empty()) model->reason = error.message;
    return error;
  }
  Versions fresh;
  fresh[version] = std::move(*made);
  std::vector<std::shared_ptr<Version>> old;
  if (const auto switched = Switch(name, *model, std::move(fresh), false, prefer, old); !switched) {
    return switched;
  }
  {
    const std::lock_guard lock(mutex_);
    model->reason.clear();
    model->wanted = true;
  }
  for (auto& each : old) Retire(std::move(each));
  return {};
}

Result<void> RepositoryServer::Prefer(const std::string& name, std::uint64_t version) {
  const std::lock_guard lock(mutex_);
  const auto found = models_.find(name);
  if (found == models_.end() || !found->second->put || !found->second->versions.contains(version)) {
    return Error{ErrorCode::kNotFound,
                 "there is no version " + std::to_string(version) + " of " + Quoted(name)};
  }
  found->second->preferred = version;
  return {};
}

Result<void> RepositoryServer::Remove(const std::string& name, std::uint64_t version) {
  std::shared_ptr<Model> model;
  {
    const std::lock_guard lock(mutex_);
    const auto found = models_.find(name);
    if (found != models_.end()) model = found->second;
  }
  const Error missing{ErrorCode::kNotFound,
                      "there is no version " + std::to_string(version) + " of " + Quoted(name)};
  if (model == nullptr) return missing;
  const std::lock_guard changing(model->changing);
  std::shared_ptr<Version> old;
  {
    const std::lock_guard lock(mutex_);
    const auto found = model->versions.find(version);
    if (!model->put || found == model->versions.end()) return missing;
    old = std::move(found->second);
    model->versions.erase(found);
    if (model->preferred == version) model->preferred.reset();
    model->states[version] = {ModelState::kUnloading, ""};
    if (model->versions.empty()) {
      model->wanted = false;
      model->reason = "unloaded";
    }
  }
  Retire(std::move(old));
  const std::lock_guard lock(mutex_);
  // Deployments come and go for years: what is gone is not listed.
  model->states.erase(version);
  return {};
}

void RepositoryServer::Poll() {
  const std::vector<std::string> there = NamesThere();
  std::vector<std::string> changed;
  std::vector<std::string> gone;
  std::map<std::string, std::string> known;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, model] : models_) {
      if (model->put) continue;
      // A graph may have waited for a model that has come meanwhile.
      const bool retry = model->graph && model->wanted && model->versions.empty();
      known[name] = retry ? "" : model->signature;
      const bool lies = std::binary_search(there.begin(), there.end(), name);
      if (!lies && model->wanted) gone.push_back(name);
    }
  }
  for (const std::string& name : there) {
    const auto before = known.find(name);
    if (before == known.end() || before->second != Signature(options_.repository / name)) {
      changed.push_back(name);
    }
  }
  LoadAll(changed);
  for (const std::string& name : gone) {
    // kNotFound: somebody was faster.
    if (const auto unloaded = UnloadNow(name); !unloaded) continue;
  }
}

std::vector<std::string> RepositoryServer::Warnings() const {
  std::vector<std::string> warnings;
  const std::lock_guard lock(mutex_);
  for (const auto& [name, model] : models_) {
    warnings.insert(warnings.end(), model->warnings.begin(), model->warnings.end());
  }
  return warnings;
}

ResponseCache::Counts RepositoryServer::cache() const {
  return cache_ != nullptr ? cache_->counts() : ResponseCache::Counts{};
}

}  // namespace tidewheel::inference
