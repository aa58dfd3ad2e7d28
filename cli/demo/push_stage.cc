#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <thread>

#include "tidewheel/cli/demo/planted.h"
#include "tidewheel/cli/demo/story.h"
#include "tidewheel/cli/output/progress_bar.h"
#include "tidewheel/cli/push/sample_stream.h"

namespace tidewheel::cli::demo {
namespace {

namespace v1 = ingestion::v1;

constexpr std::size_t kStreams = 3;
constexpr std::uint64_t kOriginals = 64;      // Kept to plant others from.
constexpr std::size_t kTestPictures = 1'000;  // Kept for the predictions.
constexpr std::size_t kTestBytes = 64U << 20;

/// Adds up what becomes of pushed pictures. Thread-safe.
class Tally {
 public:
  explicit Tally(Story& story) : story_(story), bar_("push") {}

  void Expect(const std::string& name, std::size_t class_index) {
    const std::lock_guard lock(mutex_);
    pending_.emplace(name, class_index);
  }

  void Take(const v1::StreamSamplesRequest& request, const v1::StreamSamplesResponse& response) {
    const std::lock_guard lock(mutex_);
    for (int i = 0; i < request.samples_size(); ++i) Take(request.samples(i), response.verdicts(i));
    bar_.Show(pushed_, story_.pictures.traits().expected);
  }

  std::uint64_t pushed() const { return pushed_; }
  std::uint64_t unchanged() const { return unchanged_; }
  std::uint64_t accepted() const { return accepted_; }
  std::uint64_t quarantined() const { return pushed_ - accepted_; }
  std::uint64_t By(v1::ReasonCode reason) const {
    const auto found = by_reason_.find(reason);
    return found == by_reason_.end() ? 0 : found->second;
  }
  /// Of one planted picture.
  bool SetAsideFor(const std::string& name, v1::ReasonCode reason) const {
    const auto found = reasons_.find(name);
    return found != reasons_.end() &&
           std::find(found->second.begin(), found->second.end(), reason) != found->second.end();
  }

 private:
  void Take(const v1::NewSample& sample, const v1::Verdict& verdict) {
    ++pushed_;
    // A repeated push is answered with what was found the first time.
    if (verdict.disposition() == v1::DISPOSITION_UNCHANGED) ++unchanged_;
    if (verdict.reasons_size() > 0) {
      auto& reasons = reasons_[sample.name()];
      for (const auto& reason : verdict.reasons()) {
        if (std::find(reasons.begin(), reasons.end(), reason.code()) != reasons.end()) continue;
        reasons.push_back(reason.code());
        ++by_reason_[reason.code()];
      }
      pending_.erase(sample.name());
      return;
    }
    ++accepted_;
    const auto found = pending_.find(sample.name());
    if (found == pending_.end()) return;
    KnownSample known{sample.name(), verdict.sample_id(), found->second, verdict.split()};
    pending_.erase(found);
    const bool keeps = known.split == v1::SPLIT_TEST &&
                       story_.test_pictures.size() < kTestPictures &&
                       test_bytes_ + sample.payload().size() <= kTestBytes;
    if (keeps) {
      test_bytes_ += sample.payload().size();
      story_.test_pictures.push_back({known, sample.payload()});
    }
    story_.samples.push_back(std::move(known));
  }

  Story& story_;
  ProgressBar bar_;
  std::mutex mutex_;  // Guards everything below, and the story's samples, while streams are open.
  std::unordered_map<std::string, std::size_t> pending_;
  std::unordered_map<std::string, std::vector<v1::ReasonCode>> reasons_;  // Of what was set aside.
  std::map<v1::ReasonCode, std::uint64_t> by_reason_;
  std::uint64_t pushed_ = 0;
  std::uint64_t unchanged_ = 0;
  std::uint64_t accepted_ = 0;
  std::size_t test_bytes_ = 0;
};

v1::NewSample ToSample(Picture picture, const std::string& source) {
  v1::NewSample sample;
  sample.set_payload(std::move(picture.payload));
  sample.set_name(std::move(picture.name));
  sample.set_source(source);
  sample.set_group(std::move(picture.group));
  for (auto& [key, value] : picture.metadata) (*sample.mutable_metadata())[key] = value;
  return sample;
}

/// Streams all of the supply; the first pictures stay in `originals`.
Result<void> PushGiven(Story& story, Tally& tally, std::vector<Picture>* originals) {
  std::vector<std::shared_ptr<grpc::Channel>> channels;
  for (std::size_t i = 0; i < kStreams; ++i) {
    const auto channel = story.platform.PlainChannelTo("ingestion");
    if (!channel) return channel.error();
    channels.push_back(*channel);
  }
  std::mutex mutex;  // Guards originals and failure.
  std::optional<Error> failure;
  const auto push = [&](std::size_t place) -> Result<void> {
    SampleStream stream(
        channels[place], story.task.name(), {},
        [&tally](const auto& request, const auto& response) { tally.Take(request, response); });
    while (true) {
      auto given = story.pictures.Next();
      if (!given) return given.error();
      if (!given->has_value()) return stream.Finish();
      {
        const std::lock_guard lock(mutex);
        if (failure) return *failure;
        if ((*given)->place < kOriginals) originals->push_back((*given)->picture);
      }
      tally.Expect((*given)->picture.name, (*given)->class_index);
      auto pushed =
          stream.Push(ToSample(std::move((*given)->picture), story.pictures.traits().source));
      if (!pushed) return pushed;
    }
  };
  std::vector<std::jthread> threads;
  for (std::size_t i = 0; i < kStreams; ++i) {
    threads.emplace_back([&, i] {
      const auto pushed = push(i);
      const std::lock_guard lock(mutex);
      if (!pushed && !failure) failure = pushed.error();
    });
  }
  threads.clear();  // Joins.
  if (failure) return *failure;
  std::sort(originals->begin(), originals->end(),
            [](const Picture& a, const Picture& b) { return a.name < b.name; });
  return {};
}

Result<void> PushPlanted(Story& story, Tally& tally, const std::vector<PlantedPicture>& planted) {
  const auto channel = story.platform.PlainChannelTo("ingestion");
  if (!channel) return channel.error();
  SampleStream stream(
      *channel, story.task.name(), {},
      [&tally](const auto& request, const auto& response) { tally.Take(request, response); });
  for (const auto& picture : planted) {
    auto pushed = stream.Push(ToSample(picture.picture, story.pictures.traits().source));
    if (!pushed) return pushed;
  }
  return stream.Finish();
}

void ReportCounts(Report& report, const Tally& tally) {
  const std::string how = "verdicts of the push, planted pictures included";
  report.Set("demo.samples.pushed", static_cast<double>(tally.pushed()), "count", how);
  report.Set("demo.samples.accepted", static_cast<double>(tally.accepted()), "count",
             how + "; those that were there before count too");
  report.Set("demo.samples.unchanged", static_cast<double>(tally.unchanged()), "count",
             "verdicts that say it was pushed before");
  report.Set("demo.samples.quarantined", static_cast<double>(tally.quarantined()), "count", how);
  for (int code = v1::ReasonCode_MIN + 1; code <= v1::ReasonCode_MAX; ++code) {
    const auto reason = static_cast<v1::ReasonCode>(code);
    report.Set("demo.quarantined." + ReasonName(reason), static_cast<double>(tally.By(reason)),
               "count", how);
  }
}

}  // namespace

Result<void> PushPictures(Story& story) {
  story.account.Title("Push");
  Tally tally(story);
  std::vector<Picture> originals;
  const StageTimer timer("push");
  if (const auto pushed = PushGiven(story, tally, &originals); !pushed) return pushed;
  const std::uint64_t given = tally.pushed();
  const std::uint64_t given_aside = tally.quarantined();
  const auto planted = PlantPictures(
      originals, story.task.quality().near_duplicate_quarantine_distance() >= 0, story.seed);
  if (!planted) return planted.error();
  if (const auto pushed = PushPlanted(story, tally, *planted); !pushed) return pushed;
  const double seconds =
      timer.Finish(story.report, static_cast<double>(tally.pushed()),
                   "pictures acknowledged as durable, reading or drawing them included,");
  const auto by_name = [](const auto& a, const auto& b) { return a.name < b.name; };
  std::sort(story.samples.begin(), story.samples.end(), by_name);
  std::sort(story.test_pictures.begin(), story.test_pictures.end(),
            [&](const auto& a, const auto& b) { return by_name(a.sample, b.sample); });
  ReportCounts(story.report, tally);

  story.account.Say(FormatCount(tally.pushed()) + " pictures in " + FormatSeconds(seconds) + " (" +
                    FormatCount(static_cast<std::uint64_t>(static_cast<double>(tally.pushed()) /
                                                           std::max(seconds, 1e-9))) +
                    " a second, each durable when acknowledged): " + FormatCount(tally.accepted()) +
                    " accepted, " + FormatCount(tally.quarantined()) + " set aside");
  if (tally.unchanged() > 0) {
    story.account.Say(tally.unchanged() == tally.pushed()
                          ? "nothing changed: all of it was there already"
                          : FormatCount(tally.unchanged()) + " were there already, unchanged");
  }
  Table table({"reason", ">planted", ">found among them", ">found in all"});
  std::uint64_t right = 0;
  for (int code = v1::ReasonCode_MIN + 1; code <= v1::ReasonCode_MAX; ++code) {
    const auto reason = static_cast<v1::ReasonCode>(code);
    std::uint64_t wanted = 0;
    std::uint64_t found = 0;
    for (const auto& picture : *planted) {
      if (picture.reason != reason) continue;
      ++wanted;
      if (tally.SetAsideFor(picture.picture.name, reason)) ++found;
    }
    right += found;
    if (wanted + tally.By(reason) == 0) continue;
    table.Add({LowerEnum(ReasonName(reason), ""), FormatCount(wanted), FormatCount(found),
               FormatCount(tally.By(reason))});
  }
  story.account.Show(table);
  story.report.Set("demo.planted.pictures", static_cast<double>(planted->size()), "count",
                   "pictures made to be set aside");
  story.report.Set("demo.planted.found", static_cast<double>(right), "count",
                   "planted pictures set aside for the reason they were planted with");
  story.account.Say(
      (right == planted->size() ? "every planted picture was found for its reason"
                                : FormatCount(right) + " of " + FormatCount(planted->size()) +
                                      " planted pictures were found") +
      std::string("; of the ") + FormatCount(given) + " given ones " +
      (given_aside == 0 ? std::string("none was") : FormatCount(given_aside) + " were") +
      " set aside");
  return {};
}

}  // namespace tidewheel::cli::demo
