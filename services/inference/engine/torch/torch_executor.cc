#include "tidewheel/inference/engine/torch/torch_executor.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <utility>

#include "tidewheel/inference/core/request_check.h"
#include "tidewheel/inference/engine/torch/runner_process.h"
#include "tidewheel/inference/torch_runner/wire/control.h"
#include "tidewheel/inference/torch_runner/wire/lanes.h"
#include "tidewheel/inference/torch_runner/wire/messages.h"

namespace tidewheel::inference {
namespace {

namespace fs = std::filesystem;
using std::chrono::duration_cast;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::steady_clock;
using torch_runner::LoadOrder;
using torch_runner::LoadReport;
using torch_runner::SharedLanes;

constexpr char kProgram[] = "tidewheel-torch-runner";
constexpr std::uint32_t kGone = ~std::uint32_t{0};  // No request has this number.
constexpr std::size_t kMostComplaint = 4'096;
constexpr std::size_t kMostName = 1'024;
constexpr std::size_t kPage = 4'096;
constexpr std::size_t kKeptBytes = std::size_t{16} << 20;  // Of a lane, from call to call.
constexpr std::size_t kMostRowsOfACall = 1'024;
constexpr std::size_t kAlignment = 64;

fs::path ProgramBesideThisOne() {
  std::error_code error;
  return fs::read_symlink("/proc/self/exe", error).parent_path() / kProgram;
}

std::string Seconds(milliseconds time) {
  const auto count = time.count();
  return count % 1'000 == 0 ? std::to_string(count / 1'000) + " s" : std::to_string(count) + " ms";
}

/// A folder for one runner; goes with it.
class ScratchFolder {
 public:
  static Result<ScratchFolder> Make(const fs::path& parent) {
    std::error_code error;
    const fs::path root = parent.empty() ? fs::temp_directory_path(error) : parent;
    std::string path = (root / "tidewheel-runner-XXXXXX").string();
    if (mkdtemp(path.data()) == nullptr) {
      return Error{ErrorCode::kUnavailable,
                   "no folder for a package in " + root.string() + ": " + std::strerror(errno)};
    }
    return ScratchFolder(path);
  }
  ScratchFolder() = default;
  explicit ScratchFolder(fs::path path) : path_(std::move(path)) {}
  ScratchFolder(ScratchFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  ScratchFolder& operator=(ScratchFolder&& other) noexcept {
    std::swap(path_, other.path_);
    return *this;
  }
  ~ScratchFolder() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

/// What the last line of a process that ended says, as far as it can be shown.
std::string LastLine(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  const std::size_t begin = text.rfind('\n');
  std::string line(begin == text.npos ? text : text.substr(begin + 1));
  for (char& each : line) {
    if (static_cast<unsigned char>(each) < ' ' || static_cast<unsigned char>(each) > '~')
      each = '?';
  }
  return line.substr(0, 300);
}

}  // namespace

/// One runner with its memory, from its start to its end.
class TorchExecutor::Session {
 public:
  Session(RunnerProcess process, SharedLanes lanes, ScratchFolder scratch)
      : process_(std::move(process)), lanes_(std::move(lanes)), scratch_(std::move(scratch)) {
    asked_.resize(lanes_.lanes());
    for (std::size_t lane = 0; lane < lanes_.lanes(); ++lane) free_.push_back(lane);
  }
  ~Session() { End(); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  SharedLanes& lanes() { return lanes_; }
  pid_t pid() const { return process_.pid(); }
  int control() const { return process_.control(); }
  const fs::path& scratch() const { return scratch_.path(); }

  /// Waits until the runner says something on its socket, or ends. False: told to stop, or the time
  /// is over.
  bool Watch(int stop_event, std::optional<steady_clock::time_point> until) {
    while (true) {
      std::array<pollfd, 3> watched{pollfd{stop_event, POLLIN, 0},
                                    pollfd{process_.control(), POLLIN, 0},
                                    pollfd{listening_ ? process_.complaints() : -1, POLLIN, 0}};
      int wait = -1;
      if (until) {
        const auto left = duration_cast<milliseconds>(*until - steady_clock::now()).count();
        if (left <= 0) return false;
        wait = static_cast<int>(std::min<std::int64_t>(left + 1, 1'000'000));
      }
      if (poll(watched.data(), watched.size(), wait) < 0 && errno != EINTR) return false;
      if (watched[2].revents != 0) Listen();
      if (watched[0].revents != 0) return false;
      if (watched[1].revents != 0) return true;
    }
  }

  /// Nothing: it has ended.
  std::optional<std::size_t> TakeLane() {
    std::unique_lock lock(mutex_);
    lane_free_.wait(lock, [&] { return ended_ || !free_.empty(); });
    if (ended_) return std::nullopt;
    const std::size_t lane = free_.back();
    free_.pop_back();
    return lane;
  }
  void GiveLaneBack(std::size_t lane) {
    {
      const std::lock_guard lock(mutex_);
      free_.push_back(lane);
    }
    lane_free_.notify_one();
  }
  /// The number of a lane's next request. Only for who took the lane.
  std::uint32_t Next(std::size_t lane) {
    if (++asked_[lane] == kGone) asked_[lane] = 1;
    return asked_[lane];
  }
  /// What was said so far is not about what will come. For the thread that watches.
  void ForgetComplaints() {
    Listen();
    complaints_.clear();
  }
  bool ended() const { return ended_flag_.load(std::memory_order_acquire); }

  /// Ends it because of a call; `why` is said to all others.
  void Kill(const std::string& why) {
    const std::lock_guard lock(mutex_);
    if (ended_ || !why_.empty()) return;
    why_ = why;
    process_.Kill();
  }

  /// Kills what still runs, and lets everybody go who waits for it. Gives what happened.
  std::string End() {
    const std::lock_guard lock(mutex_);
    if (ended_) return why_;
    const std::string end = DescribeRunnerEnd(process_.Reap());
    Listen();
    if (why_.empty()) {
      const std::string line = LastLine(complaints_);
      why_ = "its runner " + end + (line.empty() ? "" : ": " + line);
    }
    ended_ = true;
    ended_flag_.store(true, std::memory_order_release);
    for (std::size_t lane = 0; lane < lanes_.lanes(); ++lane) {
      lanes_.words(lane).answered.store(kGone, std::memory_order_release);
      torch_runner::WakeAll(lanes_.words(lane).answered);
    }
    lane_free_.notify_all();
    scratch_ = ScratchFolder();
    return why_;
  }
  std::string why() {
    const std::lock_guard lock(mutex_);
    return why_;
  }

 private:
  void Listen() {
    std::array<char, kMostComplaint> part{};
    // Bounded: a model may write faster than this reads.
    for (int i = 0; i < 16; ++i) {
      const ssize_t got = read(process_.complaints(), part.data(), part.size());
      if (got == 0) listening_ = false;
      if (got <= 0) return;
      complaints_.append(part.data(), static_cast<std::size_t>(got));
      if (complaints_.size() > kMostComplaint) {
        complaints_.erase(0, complaints_.size() - kMostComplaint);
      }
    }
  }

  RunnerProcess process_;
  SharedLanes lanes_;
  ScratchFolder scratch_;
  std::string complaints_;  // Of the thread that watches; and of End, when nobody watches any more.
  bool listening_ = true;
  std::vector<std::uint32_t> asked_;

  std::mutex mutex_;  // Guards what follows, and that the process is not waited for while killed.
  std::condition_variable lane_free_;
  std::vector<std::size_t> free_;
  bool ended_ = false;
  std::string why_;
  std::atomic<bool> ended_flag_{false};
};

Result<std::unique_ptr<TorchExecutor>> TorchExecutor::Start(TorchOptions options,
                                                            TorchModel model) {
  if (options.program.empty()) options.program = ProgramBesideThisOne();
  options.call_bytes = (std::max<std::size_t>(options.call_bytes, 1) + kPage - 1) / kPage * kPage;
  model.instances = std::clamp<std::uint32_t>(model.instances, 1, SharedLanes::kMostLanes);
  // Not to wait for a pipe that somebody calls a model.
  const int file = open(model.file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) {
    return Error{ErrorCode::kNotFound,
                 model.file.string() + " cannot be read: " + std::strerror(errno)};
  }
  std::unique_ptr<TorchExecutor> executor(
      new TorchExecutor(std::move(options), std::move(model), file));
  struct stat state {};
  if (fstat(file, &state) != 0 || !S_ISREG(state.st_mode)) {
    return Error{ErrorCode::kInvalidArgument,
                 executor->model_.file.string() + " is no regular file"};
  }
  if (static_cast<std::size_t>(state.st_size) > executor->options_.file_bytes) {
    return Error{ErrorCode::kResourceExhausted,
                 executor->model_.file.string() + " has " + std::to_string(state.st_size) +
                     " bytes, a model may have " + std::to_string(executor->options_.file_bytes)};
  }
  TorchExecutor* const own = executor.get();
  executor->supervisor_ = std::make_unique<Worker>(
      "torch-runner", [own](std::stop_token stop) { own->Supervise(std::move(stop)); });
  std::unique_lock lock(executor->mutex_);
  executor->changed_.wait(lock, [&] { return executor->first_.has_value(); });
  const Result<void> first = *executor->first_;
  lock.unlock();
  if (!first) return first.error();
  return executor;
}

TorchExecutor::TorchExecutor(TorchOptions options, TorchModel model, int file)
    : options_(std::move(options)),
      model_(std::move(model)),
      file_(file),
      stop_event_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

TorchExecutor::~TorchExecutor() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (supervisor_ != nullptr) supervisor_->RequestStop();
  const std::uint64_t one = 1;
  if (stop_event_ >= 0 && write(stop_event_, &one, sizeof one) < 0) std::abort();
  supervisor_.reset();
  if (stop_event_ >= 0) close(stop_event_);
  close(file_);
}

Error TorchExecutor::Named(Error error) const {
  return Prefixed("model \"" + model_.name.substr(0, 80) + "\": ", std::move(error));
}

void TorchExecutor::Supervise(std::stop_token stop) {
  milliseconds pause = options_.first_pause;
  while (!stop.stop_requested()) {
    auto started = StartSession(stop);
    const auto born = steady_clock::now();
    bool first = false;
    {
      const std::lock_guard lock(mutex_);
      first = !first_.has_value();
      ++counts_.starts;
      if (started) {
        session_ = *started;
        counts_.pid = session_->pid();
        if (first) first_ = Result<void>();
      } else {
        why_down_ = started.error().message;
        counts_.last_end = why_down_;
        if (first) first_ = Result<void>(started.error());
      }
    }
    changed_.notify_all();
    if (!started && first) return;
    if (started) {
      (*started)->Watch(stop_event_, std::nullopt);
      {
        const std::lock_guard lock(mutex_);
        session_.reset();
        counts_.pid = 0;
        next_start_ = steady_clock::now() + pause;
      }
      const std::string why = (*started)->End();
      started = Error{ErrorCode::kUnavailable, why};  // Its memory goes with the last call in it.
      const std::lock_guard lock(mutex_);
      if (!stop.stop_requested()) {
        ++counts_.ends;
        counts_.last_end = why;
        why_down_ = why;
      }
      if (steady_clock::now() - born >= options_.lasting) pause = options_.first_pause;
    }
    {
      const std::lock_guard lock(mutex_);
      next_start_ = steady_clock::now() + pause;
    }
    changed_.notify_all();
    pollfd stopped{stop_event_, POLLIN, 0};
    if (poll(&stopped, 1, static_cast<int>(pause.count())) > 0) return;
    pause = std::min(2 * pause, options_.most_pause);
  }
}

Result<std::shared_ptr<TorchExecutor::Session>> TorchExecutor::StartSession(std::stop_token stop) {
  if (stop_event_ < 0) return Error{ErrorCode::kResourceExhausted, "no descriptor for a runner"};
  auto lanes = SharedLanes::Create(model_.instances, options_.call_bytes);
  if (!lanes) return lanes.error();
  ScratchFolder scratch;
  std::vector<std::string> environment{"OMP_NUM_THREADS=" + std::to_string(options_.threads),
                                       "OMP_WAIT_POLICY=passive", "MALLOC_ARENA_MAX=4"};
  if (model_.package) {
    auto made = ScratchFolder::Make(options_.scratch);
    if (!made) return made.error();
    scratch = std::move(*made);
    environment.push_back("TMPDIR=" + scratch.path().string());
  }
  auto process = RunnerProcess::Start(options_.program, environment);
  if (!process) return process.error();
  auto session =
      std::make_shared<Session>(std::move(*process), std::move(*lanes), std::move(scratch));
  if (const auto loaded = LoadInto(*session, std::move(stop)); !loaded) return loaded.error();
  return session;
}

Result<void> TorchExecutor::LoadInto(Session& session, std::stop_token stop) {
  LoadOrder order;
  order.package = model_.package;
  order.device = options_.device;
  order.threads = std::max<std::uint32_t>(options_.threads, 1);
  order.lanes = model_.instances;
  order.lane_bytes = options_.call_bytes;
  order.memory_bytes = options_.memory_bytes;
  order.spin_nanoseconds =
      static_cast<std::uint64_t>(std::max<std::int64_t>(options_.spin.count(), 0));
  order.freeze = options_.freeze;
  order.gradients = model_.gradients;
  order.scratch = session.scratch().string();
  order.inputs = model_.inputs;
  order.outputs = model_.outputs;
  if (auto sent = torch_runner::SendMessage(session.control(), order.Print(),
                                            {session.lanes().descriptor(), file_});
      !sent) {
    if (sent.error().code != ErrorCode::kUnavailable) return sent;
    return Error{ErrorCode::kUnavailable, session.End()};
  }
  session.lanes().CloseDescriptor();
  if (!session.Watch(stop_event_, steady_clock::now() + options_.load_limit)) {
    if (stop.stop_requested()) return Error{ErrorCode::kCancelled, "it is not wanted any more"};
    return Error{ErrorCode::kDeadlineExceeded,
                 "loading took longer than " + Seconds(options_.load_limit)};
  }
  const auto message = torch_runner::ReceiveMessage(session.control(), 0);
  if (!message) {
    return Error{ErrorCode::kUnavailable, session.End() + " while it loaded the model"};
  }
  auto report = LoadReport::Parse(message->bytes);
  if (!report) return report.error();
  if (report->error) {
    Error error = *report->error;
    if (error.code == ErrorCode::kResourceExhausted && options_.memory_bytes > 0) {
      error.message += "; its runner may take " + std::to_string(options_.memory_bytes) + " bytes";
    }
    return error;
  }
  session.ForgetComplaints();
  const bool known = !spec_.outputs.empty();
  if (!known) Learn(std::move(report->inputs), std::move(report->outputs), report->batches);
  for (const auto* specs : {&spec_.inputs, &spec_.outputs}) {
    for (const TensorSpec& spec : *specs) {
      if (specs->size() <= torch_runner::kMostTensors && !spec.name.empty() &&
          spec.name.size() <= kMostName) {
        continue;
      }
      return Error{ErrorCode::kInvalidArgument, "a model has up to " +
                                                    std::to_string(torch_runner::kMostTensors) +
                                                    " inputs and outputs with names of up to " +
                                                    std::to_string(kMostName) + " bytes"};
    }
  }
  const std::lock_guard lock(mutex_);
  counts_.unconfined = std::move(report->unconfined);
  return {};
}

void TorchExecutor::Learn(std::vector<TensorSpec> inputs, std::vector<TensorSpec> outputs,
                          bool batches) {
  spec_.name = model_.name;
  spec_.version = model_.version;
  spec_.platform = model_.package ? "pytorch_aotinductor" : "pytorch_torchscript";
  spec_.inputs = model_.inputs.empty() ? std::move(inputs) : model_.inputs;
  spec_.outputs = model_.outputs.empty() ? std::move(outputs) : model_.outputs;
  spec_.max_batch_size = model_.max_batch_size;
  if (model_.max_batch_size == 0 && model_.inputs.empty() && batches) {
    spec_.max_batch_size = kMostRowsOfACall;
  }
  spec_.properties = {{"device", options_.device}, {"precision", "f32"}};
}

Result<std::shared_ptr<TorchExecutor::Session>> TorchExecutor::WaitForSession() {
  std::unique_lock lock(mutex_);
  if (session_ != nullptr) return session_;
  const auto until = steady_clock::now() + options_.patience;
  const auto hopeless = [&] { return stopping_ || next_start_ > until; };
  changed_.wait_until(lock, until, [&] { return session_ != nullptr || hopeless(); });
  if (session_ != nullptr) return session_;
  const auto left = duration_cast<milliseconds>(next_start_ - steady_clock::now());
  return Named({ErrorCode::kUnavailable,
                why_down_ + (left.count() > 0 ? "; it is started again in " +
                                                    std::to_string(left.count()) + " ms"
                                              : "; it is being started again")});
}

Result<std::vector<Tensor>> TorchExecutor::Execute(std::span<const Tensor> inputs) {
  if (inputs.size() != spec_.inputs.size()) {
    return Named({ErrorCode::kInvalidArgument, std::to_string(inputs.size()) +
                                                   " inputs instead of " +
                                                   std::to_string(spec_.inputs.size())});
  }
  std::shared_ptr<Session> session;
  std::optional<std::size_t> taken;
  while (!taken) {
    auto found = WaitForSession();
    if (!found) return found.error();
    session = std::move(*found);
    taken = session->TakeLane();  // None: it ended before this call was in it.
  }
  const std::size_t lane = *taken;
  SharedLanes& lanes = session->lanes();
  const auto written = torch_runner::WriteTensors(lanes.request(lane), inputs);
  if (!written) {
    session->GiveLaneBack(lane);
    return Named(written.error());
  }
  torch_runner::LaneWords& words = lanes.words(lane);
  const std::uint32_t number = session->Next(lane);
  words.asked.store(number, std::memory_order_release);
  torch_runner::WakeAll(words.asked);

  const auto until = steady_clock::now() + options_.call_limit;
  for (std::uint32_t answered = words.answered.load(std::memory_order_acquire); answered != number;
       answered = words.answered.load(std::memory_order_acquire)) {
    if (session->ended()) {
      return Named({ErrorCode::kUnavailable, session->why() + " while it ran the request"});
    }
    const nanoseconds left = until - steady_clock::now();
    if (left.count() <= 0) {
      session->Kill("a call took longer than " + Seconds(options_.call_limit) +
                    " and its runner was ended");
      const std::lock_guard lock(mutex_);
      ++counts_.ended_calls;
      return Named(
          {ErrorCode::kDeadlineExceeded,
           "the call took longer than " + Seconds(options_.call_limit) + " and was ended"});
    }
    torch_runner::WaitWhile(words.answered, answered, left, options_.spin);
  }
  auto outputs = TakeAnswer(*session, lane);
  if (*written > kKeptBytes) lanes.Release(lane);
  session->GiveLaneBack(lane);
  return outputs;
}

Result<std::vector<Tensor>> TorchExecutor::TakeAnswer(Session& session, std::size_t lane) const {
  auto read = torch_runner::ReadTensors(session.lanes().answer(lane));
  if (!read) {
    Error error = read.error();
    const bool open = std::any_of(spec_.inputs.begin(), spec_.inputs.end(),
                                  [](const TensorSpec& input) { return input.any; });
    if (error.code == ErrorCode::kInvalidArgument && !open) error.code = ErrorCode::kInternal;
    // The interpreter passes on no more than the name of what it caught.
    if (error.message.ends_with("std::bad_alloc")) {
      error = {ErrorCode::kResourceExhausted, "out of memory, of which its runner may take " +
                                                  std::to_string(options_.memory_bytes) + " bytes"};
    }
    return Named(std::move(error));
  }
  std::vector<Tensor>& outputs = *read;
  if (outputs.size() != spec_.outputs.size()) {
    return Named({ErrorCode::kInternal, "its runner gave " + std::to_string(outputs.size()) +
                                            " outputs instead of " +
                                            std::to_string(spec_.outputs.size())});
  }
  // One piece of memory for all. Copied, and checked afterwards: the runner could still write.
  std::size_t total = 0;
  for (const Tensor& output : outputs) {
    total += (output.data.size() + kAlignment - 1) / kAlignment * kAlignment;
  }
  const std::shared_ptr<char[]> memory = std::make_shared_for_overwrite<char[]>(total + 1);
  char* next = memory.get();
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    Tensor& output = outputs[i];
    const TensorSpec& wanted = spec_.outputs[i];
    output.name = wanted.name;
    if (!wanted.any && (output.type != wanted.type || !Fits(wanted.shape, output.shape))) {
      return Named({ErrorCode::kInternal,
                    "output \"" + wanted.name + "\" is " + TypeAndShape(output.type, output.shape) +
                        ", the configuration says " + TypeAndShape(wanted.type, wanted.shape)});
    }
    if (!output.data.empty()) std::memcpy(next, output.data.data(), output.data.size());
    output.data = std::string_view(next, output.data.size());
    output.owner = memory;
    next += (output.data.size() + kAlignment - 1) / kAlignment * kAlignment;
    if (const auto checked = output.Check(); !checked) {
      return Named({ErrorCode::kInternal, checked.error().message});
    }
  }
  if (total > kKeptBytes) session.lanes().Release(lane);
  return outputs;
}

std::size_t TorchExecutor::memory_bytes() const {
  pid_t pid = 0;
  {
    const std::lock_guard lock(mutex_);
    pid = counts_.pid;
  }
  std::ifstream statm("/proc/" + std::to_string(pid) + "/statm");
  std::size_t size = 0;
  std::size_t resident = 0;
  std::size_t shared = 0;
  if (pid == 0 || !(statm >> size >> resident >> shared) || shared > resident) return 0;
  return (resident - shared) * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

TorchRunnerCounts TorchExecutor::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

}  // namespace tidewheel::inference
