#include "tidewheel/cli/drill/story.h"

#include <cmath>

#include "tidewheel/base/ids.h"
#include "tidewheel/cli/drill/patience.h"
#include "tidewheel/cli/drill/task_text.h"

namespace tidewheel::cli::drill {
namespace {

// So long without a single answer means that nothing comes any more.
constexpr std::chrono::seconds kStandstill{150};

}  // namespace

Result<void> Story::Open(Scene scene, double rate, std::vector<DeskPerson> people) {
  const auto channel = platform.PlainChannelTo("inference");
  if (!channel) return channel.error();
  outcome_sender = std::make_unique<OutcomeSender>(connection, task);
  Traffic::Options how;
  how.task = task;
  how.prefix = "drill-" + NewUuid() + "-";
  how.classes = classes();
  how.seed = options.seed;
  how.rate = options.rate > 0 ? options.rate : rate;
  traffic = std::make_unique<Traffic>(*channel, how, std::move(scene), *outcome_sender);
  watch = std::make_unique<Watch>(
      connection, task, [this] { return traffic->sent(); }, progress);
  desk = std::make_unique<AnnotatorDesk>(
      connection, AnnotatorDesk::Options{task, classes(), options.seed, std::move(people)},
      answers);
  progress.Title("Traffic");
  return {};
}

Result<void> Story::RunUntil(std::uint64_t sent) {
  std::uint64_t last = 0;
  auto moved_at = std::chrono::steady_clock::now();
  auto told_at = moved_at;
  while (traffic->sent() < sent) {
    const auto now = std::chrono::steady_clock::now();
    const std::uint64_t count = traffic->sent();
    if (count != last) moved_at = now;
    last = count;
    if (now - moved_at > kStandstill) {
      return Error{ErrorCode::kDeadlineExceeded,
                   "the traffic stands at " + std::to_string(count) + " of " +
                       std::to_string(sent) + " requests: nothing is answered; " + watch->State()};
    }
    if (traffic->failed() > 0) {
      return Error{ErrorCode::kUnavailable, "a request failed for good: " + traffic->failure()};
    }
    if (now - told_at > std::chrono::seconds(10)) {
      told_at = now;
      progress.Say(FormatCount(count) + " of " + FormatCount(sent) + " requests");
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return {};
}

Result<void> Story::Close() {
  killer.reset();
  if (traffic) traffic->Finish();
  if (desk) {
    desk->Stop();
    if (const auto failure = desk->failure()) return Prefixed("annotators: ", *failure);
  }
  if (outcome_sender) {
    auto sent = outcome_sender->Finish();
    if (!sent) return sent.error();
    outcomes = *std::move(sent);
  }
  if (traffic && traffic->failed() > 0) {
    return Error{ErrorCode::kUnavailable,
                 std::to_string(traffic->failed()) +
                     " requests were never answered, the first: " + traffic->failure()};
  }
  return {};
}

void ExpectFigures(demo::Report& report, const Options& options) {
  const std::string prefix = "drill." + Name(options.scenario) + ".";
  const auto expect = [&](const std::string& name, const std::string& unit) {
    report.Expect(prefix + name, unit);
  };
  const auto at_most = [&](const std::string& name, const std::string& unit, double most) {
    expect(name, unit);
    report.SetGoalAtMost(prefix + name, most);
  };
  const auto at_least = [&](const std::string& name, const std::string& unit, double least) {
    expect(name, unit);
    report.SetGoal(prefix + name, least);
  };
  switch (options.scenario) {
    case Scenario::kCalm:
      at_most("false_alarms", "count",
              BudgetOf(options.requests == 0 ? 50'000 : options.requests).most);
      at_most("cycles", "count", 0);
      expect("accuracy.before", "ratio");
      break;
    case Scenario::kRotate:
    case Scenario::kRecur:
      if (options.kill) {
        expect("detection.requests", "count");
      } else {
        at_most("detection.requests", "count", 200);
      }
      at_least("cause.right", "1", 1);
      at_most("labels", "count", 100);
      expect("recovery.seconds", "seconds");
      expect("accuracy.before", "ratio");
      expect("accuracy.during", "ratio");
      expect("accuracy.after", "ratio");
      if (options.oracle) {
        expect("accuracy.oracle", "ratio");
        // Beside the policy that the loop is built for, what chance does is only measured.
        if (options.random_acquisition) {
          expect("oracle_ratio", "ratio");
        } else {
          at_least("oracle_ratio", "ratio", 0.98);
        }
      }
      expect("accuracy.old_before", "ratio");
      expect("accuracy.old_after", "ratio");
      at_most("old_loss", "ratio", 0.01);
      if (options.kill) {
        expect("story.seconds", "seconds");
      } else {
        at_most("story.seconds", "seconds", 300);
      }
      expect("false_alarms", "count");
      if (options.scenario == Scenario::kRecur) {
        expect("accuracy.old_returned", "ratio");
        at_most("cycles", "count", 1);
      }
      if (options.kill) {
        for (const char* name : {"dataset_versions", "runs", "promotions"}) {
          at_least(std::string("once.") + name, "count", 1);
          report.SetGoalAtMost(prefix + "once." + name, 1);
        }
        at_most("once.votes_off", "count", 0);
        at_most("once.samples_off", "count", 0);
      }
      break;
    case Scenario::kPrior:
      expect("detection.requests", "count");
      at_least("cause.right", "1", 1);
      at_most("class_share_error", "ratio", 0.05);
      expect("false_alarms", "count");
      break;
    case Scenario::kConcept:
      expect("detection.requests", "count");
      at_least("cause.right", "1", 1);
      expect("accuracy.before", "ratio");
      expect("accuracy.during", "ratio");
      expect("false_alarms", "count");
      break;
    case Scenario::kNoise:
      expect("detection.requests", "count");
      at_least("cause.right", "1", 1);
      at_least("named", "1", 1);
      expect("labels", "count");
      expect("false_alarms", "count");
      break;
    case Scenario::kFault:
      expect("detection.requests", "count");
      at_least("cause.right", "1", 1);
      at_least("quarantined", "count", 1);
      at_least("decisions.sensor_fault", "count", 1);
      at_most("cycles", "count", 0);
      expect("false_alarms", "count");
      break;
    case Scenario::kPlanted:
      at_least("gate.failed", "1", 1);
      at_least("rolled_back", "1", 1);
      expect("harmed_requests", "count");
      expect("canary_answers", "count");
      break;
    case Scenario::kAa:
      at_least("canaries", "count", options.rounds);
      at_most("wrong_rollbacks", "count", 0);
      break;
  }
  at_most("lost", "count", 0);
}

}  // namespace tidewheel::cli::drill
