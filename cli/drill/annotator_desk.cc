#include "tidewheel/cli/drill/annotator_desk.h"

#include "tidewheel/base/worker.h"
#include "tidewheel/cli/drill/patience.h"
#include "tidewheel/ingestion/v1/ingestion_service.grpc.pb.h"
#include "tidewheel/labeling/v1/queue_service.grpc.pb.h"

namespace tidewheel::cli::drill {
namespace {

namespace v1 = labeling::v1;

constexpr std::uint32_t kAtOnce = 10;
constexpr std::uint32_t kLeaseSeconds = 60;
constexpr std::chrono::milliseconds kPause{100};

}  // namespace

std::size_t SaidOf(const DeskPerson& person, std::string_view payload, std::size_t truth,
                   std::size_t classes, std::uint64_t seed) {
  Random random(StableHash(person.name, StableHash(payload, seed)));
  if (random.Uniform() >= person.error) return truth;
  return (truth + 1 + random.Below(classes - 1)) % classes;
}

AnnotatorDesk::AnnotatorDesk(const Platform::Options& connection, Options options,
                             const AnswerKey& answers)
    : platform_(connection),
      options_(std::move(options)),
      answers_(answers),
      people_(options_.people),
      worker_([this](std::stop_token stop) { Work(stop); }) {}

AnnotatorDesk::~AnnotatorDesk() { Stop(); }

void AnnotatorDesk::Stop() {
  worker_.request_stop();
  if (worker_.joinable()) worker_.join();
}

void AnnotatorDesk::SetError(const std::string& name, double error) {
  const std::lock_guard lock(mutex_);
  for (DeskPerson& person : people_) {
    if (person.name == name) person.error = error;
  }
}

std::vector<std::pair<std::string, std::string>> AnnotatorDesk::votes() const {
  const std::lock_guard lock(mutex_);
  return {votes_.begin(), votes_.end()};
}

std::uint64_t AnnotatorDesk::vote_count() const {
  const std::lock_guard lock(mutex_);
  return votes_.size();
}

std::optional<Error> AnnotatorDesk::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

/// True: there was something to do.
Result<bool> AnnotatorDesk::Serve(const DeskPerson& person) {
  v1::LeaseItemsRequest lease;
  lease.set_task(options_.task);
  lease.set_annotator(person.name);
  lease.set_count(kAtOnce);
  lease.set_lease_seconds(kLeaseSeconds);
  const auto leased = PatientCall(platform_, &v1::QueueService::Stub::LeaseItems, lease);
  if (!leased) return leased.error();
  if (leased->items().empty()) return false;

  v1::SubmitLeasedVotesRequest votes;
  votes.set_annotator(person.name);
  votes.set_annotator_kind(v1::ANNOTATOR_KIND_PERSON);
  v1::ReleaseItemsRequest unknown;
  unknown.set_annotator(person.name);
  unknown.set_cannot_judge(true);
  std::vector<std::string> samples;
  for (const auto& item : leased->items()) {
    ingestion::v1::GetSamplePayloadRequest get;
    get.set_sample_id(item.sample_id());
    const auto payload =
        PatientCall(platform_, &ingestion::v1::IngestionService::Stub::GetSamplePayload, get);
    if (!payload) return payload.error();
    const std::size_t* truth = answers_.Find(payload->payload());
    if (truth == nullptr) {
      unknown.add_lease_ids(item.lease_id());
      continue;
    }
    auto& vote = *votes.add_votes();
    vote.set_lease_id(item.lease_id());
    vote.set_class_name(options_.classes[SaidOf(person, payload->payload(), *truth,
                                                options_.classes.size(), options_.seed)]);
    samples.push_back(item.sample_id());
  }
  if (votes.votes_size() > 0) {
    const auto submitted =
        PatientCall(platform_, &v1::QueueService::Stub::SubmitLeasedVotes, votes);
    if (!submitted) return submitted.error();
    std::set<std::uint32_t> rejected;
    for (const auto& each : submitted->rejected()) rejected.insert(each.index());
    const std::lock_guard lock(mutex_);
    for (std::uint32_t i = 0; i < samples.size(); ++i) {
      if (!rejected.contains(i)) votes_.emplace(person.name, samples[i]);
    }
  }
  if (unknown.lease_ids_size() > 0) {
    const auto released = PatientCall(platform_, &v1::QueueService::Stub::ReleaseItems, unknown);
    if (!released) return released.error();
  }
  return true;
}

void AnnotatorDesk::Work(std::stop_token stop) {
  while (!stop.stop_requested()) {
    std::vector<DeskPerson> people;
    {
      const std::lock_guard lock(mutex_);
      people = people_;
    }
    bool busy = false;
    for (const DeskPerson& person : people) {
      if (stop.stop_requested()) return;
      const auto served = Serve(person);
      if (!served) {
        const std::lock_guard lock(mutex_);
        failure_ = served.error();
        return;
      }
      busy = busy || *served;
    }
    if (!busy) tidewheel::Pause().Wait(stop, kPause);
  }
}

}  // namespace tidewheel::cli::drill
