// What people do with cycles at the command line, against the whole platform.
#include <gmock/gmock.h>
#include <google/protobuf/util/json_util.h>

#include <atomic>
#include <fstream>
#include <iterator>
#include <map>
#include <mutex>
#include <thread>

#include "tidewheel/base/ids.h"
#include "tidewheel/labeling/v1/queue_service.pb.h"
#include "tidewheel/testing/eventually.h"
#include "tidewheel/tests/platform/bar_pictures.h"
#include "tidewheel/tests/platform/wheel.h"
#include "tidewheel/training/v1/cycle_service.pb.h"

namespace tidewheel::tests {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

constexpr char kTask[] = "led";
// So many test samples of the new condition never come: the gate never says yes by itself.
constexpr char kPolicies[] =
    "labels: {method: majority, min_votes: 1, min_confidence: 0.5}\n"
    "capture: {random_share: 1, max_per_minute: 6000}\n"
    "cycle:\n"
    "  enabled: true\n"
    "  alert_causes: [data_drift, prediction_drift, label_shift, concept_drift, accuracy]\n"
    "  min_damage: 0\n"
    "  cooldown_seconds: 0\n"
    "  max_labels: 12\n"
    "  collect_samples: 30\n"
    "  collect_seconds: 300\n"
    "  recipe: image-linear\n"
    "  epochs: 3\n"
    "  sign_off_roles: [owner, safety]\n"
    "  rollout: {canary_shares: [0.5], canary_predictions: 20, step_seconds: 600}\n";

std::string TaskYaml() {
  std::string yaml = BarTaskYaml(kTask);
  const auto replace = [&yaml](const std::string& old, const std::string& fresh) {
    const auto at = yaml.find(old);
    ASSERT_NE(at, std::string::npos) << old;
    yaml.replace(at, old.size(), fresh);
  };
  replace("min_primary_metric: 0.5}", "min_primary_metric: 0.5, min_samples: 60}");
  replace("window_predictions: 100}", "window_predictions: 50, lateness_seconds: 0.2}");
  return yaml + kPolicies;
}

/// A bar that is dark on bright: what the model never saw.
std::string Inverted(std::string payload) {
  constexpr std::size_t kHeader = 13;  // "P5\n28 28\n255\n"
  for (std::size_t i = kHeader; i < payload.size(); ++i) {
    payload[i] = static_cast<char>(255 - static_cast<unsigned char>(payload[i]));
  }
  return payload;
}

/// Clients that ask for predictions as long as this lives.
class Traffic {
 public:
  Traffic(const Platform& platform, bool inverted)
      : client_(platform.Client()), thread_([this, inverted](std::stop_token stop) {
          for (std::uint64_t number = 1'000'000; !stop.stop_requested(); ++number) {
            Ask(MakeBarPicture(number), inverted);
            std::this_thread::sleep_for(10ms);
          }
        }) {}

  /// What the picture of these bytes shows; empty: it was not sent.
  std::string ClassOf(const std::string& payload) {
    const std::lock_guard lock(mutex_);
    const auto found = sent_.find(payload);
    return found == sent_.end() ? "" : found->second;
  }

 private:
  void Ask(const BarPicture& picture, bool inverted) {
    inference::v1::PredictRequest request;
    request.set_task(kTask);
    request.set_routing_key(NewUuid());
    const std::string payload = inverted ? Inverted(picture.payload) : picture.payload;
    request.mutable_pictures()->add_payloads(payload);
    {
      const std::lock_guard lock(mutex_);
      sent_[payload] = picture.class_name;
    }
    const auto answered = client_.Call(&inference::v1::InferenceService::Stub::Predict, request);
    EXPECT_TRUE(answered.ok()) << answered.error().message;
  }

  cli::Platform client_;
  std::mutex mutex_;
  std::map<std::string, std::string> sent_;
  std::jthread thread_;
};

class CycleCommandsTest : public PlatformTest {
 protected:
  void SetUp() override {
    // A worker that breaks down as long as a file is there.
    std::ofstream(worker_) << "#!/bin/sh\nif [ -e " << broken_.string() << " ]; then exit 9; fi\n"
                           << "exec " << (ProgramFolder() / "tidewheel-train-worker").string()
                           << " \"$@\"\n";
    std::filesystem::permissions(worker_, std::filesystem::perms::owner_all);
    StartPlatform({.kafka = false,
                   .settings = {{"training",
                                 {{"cycles.poll", "100ms"},
                                  {"cycles.look_around", "500ms"},
                                  {"attempts", "1"},
                                  {"worker.program", worker_.string()}}}}});
  }

  ProgramEnd Cli(std::vector<std::string> words) {
    words.insert(words.begin(), "tidewheel");
    words.insert(words.end(), {"--platform", platform_->file().string()});
    return RunProgram(words, 60s * testing::Patience(), {{"USER", "ann"}});
  }
  /// What a command that must succeed says.
  std::string Say(std::vector<std::string> words) {
    const std::string command = ::testing::PrintToString(words);
    const auto end = Cli(std::move(words));
    EXPECT_EQ(end.status, 0) << command << "\n" << end.output << end.errors;
    return end.output;
  }
  /// What a command that must fail says.
  std::string Refuse(std::vector<std::string> words) {
    const std::string command = ::testing::PrintToString(words);
    const auto end = Cli(std::move(words));
    EXPECT_EQ(end.status, 1) << command << "\n" << end.output << end.errors;
    return end.errors;
  }
  template <typename Message>
  Message Read(std::vector<std::string> words) {
    words.emplace_back("--json");
    const std::string text = Say(std::move(words));
    Message message;
    EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(text, &message).ok()) << text;
    return message;
  }
  training::v1::Cycle Show(const std::string& id) {
    return Read<training::v1::Cycle>({"cycle", "show", id});
  }
  /// Starts one by hand; its id.
  std::string Start(std::vector<std::string> words) {
    words.insert(words.begin(), {"cycle", "start", "--task", kTask});
    return Read<training::v1::Cycle>(std::move(words)).cycle_id();
  }
  void WaitFor(const std::string& id, training::v1::CycleState state) {
    training::v1::Cycle cycle;
    const bool came = testing::Eventually(60s, [&] {
      cycle = Show(id);
      return cycle.state() == state || cycle.has_ended_at();
    });
    EXPECT_TRUE(came);
    EXPECT_EQ(cycle.state(), state) << cycle.ShortDebugString();
  }

  /// Gives the last of what was leased back: it waits again, for whoever asks next.
  void GiveOneBack(const std::string& batch, labeling::v1::LeaseItemsResponse* leased) {
    const auto last = leased->items(leased->items_size() - 1);
    leased->mutable_items()->RemoveLast();
    const auto queue = [&](const std::string& state) {
      return Say({"label", "queue", "--batch", batch, "--state", state});
    };
    EXPECT_THAT(queue("leased"), AllOf(HasSubstr(last.sample_id()), HasSubstr("ann")));
    EXPECT_THAT(Say({"label", "release", last.lease_id(), "--as", "ann"}),
                HasSubstr("1 given back"));
    EXPECT_THAT(queue("waiting"), HasSubstr(last.sample_id()));
    EXPECT_THAT(queue("leased"), ::testing::Not(HasSubstr(last.sample_id())));
    EXPECT_THAT(Say({"label", "queue", "--batch", NewUuid()}),
                ::testing::Not(HasSubstr(last.sample_id())));
    const auto again = Cli({"label", "release", last.lease_id(), "--as", "ann"});
    EXPECT_EQ(again.status, 3) << again.output << again.errors;
    EXPECT_THAT(again.output, HasSubstr("0 given back"));
  }

  /// Two models, the first of which serves.
  void MakeModels() {
    Wheel wheel(*platform_, kTask);
    const auto applied = wheel.Apply(TaskYaml());
    ASSERT_TRUE(applied.ok()) << applied.error().message;
    const auto pushed = wheel.PushBars(0, 300);
    ASSERT_TRUE(pushed.ok()) << pushed.error().message;
    const auto labeled = wheel.LabelBars(0, 300);
    ASSERT_TRUE(labeled.ok()) << labeled.error().message;
    const auto dataset = wheel.BuildDataset();
    ASSERT_TRUE(dataset.ok()) << dataset.error().message;
    for (const std::uint64_t seed : {1, 2}) {
      const auto started = wheel.Start(dataset->dataset_version_id(), "image-linear", seed, 4);
      ASSERT_TRUE(started.ok()) << started.error().message;
      const auto run = wheel.WaitForEnd(started->run_id(), 120s);
      ASSERT_TRUE(run.ok()) << run.error().message;
      ASSERT_EQ(run->state(), training::v1::RUN_STATE_SUCCEEDED) << run->reason();
      if (seed > 1) continue;
      const auto promoted = wheel.Promote(run->model_version_id());
      ASSERT_TRUE(promoted.ok()) << promoted.error().message;
      const auto served = wheel.WaitUntilServed(run->model_version_id());
      ASSERT_TRUE(served.ok()) << served.error().message;
    }
    second_ = Read<model_registry::v1::ModelVersion>({"model", std::string(kTask) + "@2"})
                  .model_version_id();
    ASSERT_FALSE(second_.empty());
  }

  const testing::TempFolder scratch_;
  const std::filesystem::path worker_ = scratch_.path() / "worker";
  const std::filesystem::path broken_ = scratch_.path() / "broken";
  std::string second_;
};

TEST_F(CycleCommandsTest, PeopleLeadCyclesFromTheirStartToTheirEnd) {
  ASSERT_NE(platform_, nullptr);
  MakeModels();
  if (HasFatalFailure()) return;
  std::string third;

  {
    SCOPED_TRACE("a given candidate that the gate says no to");
    const auto end = Cli({"cycle", "start", "--task", kTask, "--candidate", second_, "--reason",
                          "a trial", "--request-id", "trial-1", "--wait", "--actor", "ann"});
    EXPECT_EQ(end.status, 1) << end.output << end.errors;
    EXPECT_THAT(end.output, AllOf(HasSubstr("rejected"), HasSubstr("the gate says"),
                                  HasSubstr("enough_samples_new")));
    EXPECT_THAT(
        Say({"cycle", "start", "--task", kTask, "--candidate", "led@2", "--request-id", "trial-1"}),
        HasSubstr("was there"));
    EXPECT_EQ(Cli({"models", "gate", second_}).status, 3);
    EXPECT_THAT(Say({"cycle", "decisions", "--task", kTask}), HasSubstr("asked for by hand"));
    EXPECT_THAT(Say({"cycle", "list", "--task", kTask, "--state", "rejected"}),
                HasSubstr("the gate says"));
    EXPECT_THAT(Refuse({"cycle", "list", "--state", "asleep"}), HasSubstr("never asleep"));
  }
  {
    SCOPED_TRACE("one that is cancelled in the middle");
    const auto id = Start({"--actor", "ann"});
    EXPECT_THAT(Say({"cycle", "pause", id, "--actor", "ann"}), HasSubstr("(paused)"));
    EXPECT_TRUE(Show(id).paused());
    EXPECT_THAT(Say({"cycle", "cancel", id, "--reason", "a rehearsal", "--actor", "bob"}),
                HasSubstr("cancelled"));
    EXPECT_THAT(Show(id).reason(), HasSubstr("cancelled by bob: a rehearsal"));
    for (const auto& told : {Say({"cycle", "show", id}), Say({"cycle", "decisions"})}) {
      EXPECT_THAT(told, AllOf(HasSubstr("paused"), HasSubstr("ann"), HasSubstr("bob")));
    }
    EXPECT_THAT(Say({"trace", "cycle", id}),
                AllOf(HasSubstr("paused by ann"), HasSubstr("cancelled by bob: a rehearsal")));
    Say({"cycle", "cancel", id});  // Again changes nothing.
    EXPECT_THAT(Refuse({"cycle", "retry", id}), HasSubstr("fail"));
    EXPECT_THAT(Refuse({"cycle", "resume", id}), HasSubstr("ended"));
  }
  {
    SCOPED_TRACE("one that fails and is taken up again");
    Wheel wheel(*platform_, kTask);
    ASSERT_TRUE(wheel.PushBars(300, 330).ok());
    ASSERT_TRUE(wheel.LabelBars(300, 330).ok());
    std::ofstream(broken_) << "yes";
    const auto id = Start({"--labels-at-hand"});
    WaitFor(id, training::v1::CYCLE_STATE_FAILED);
    EXPECT_EQ(Show(id).failed_in(), training::v1::CYCLE_STATE_TRAINING);
    EXPECT_THAT(Say({"cycle", "show", id}), HasSubstr("failed in"));
    std::filesystem::remove(broken_);
    Say({"cycle", "retry", id, "--actor", "eve", "--reason", "it can be executed again"});
    EXPECT_THAT(Say({"trace", "cycle", id}), HasSubstr("retried by eve: it can be executed again"));
    EXPECT_EQ(Cli({"cycle", "watch", id}).status, 1);
    WaitFor(id, training::v1::CYCLE_STATE_REJECTED);
    EXPECT_GT(Show(id).cost().cpu_seconds(), 0);
    EXPECT_THAT(Refuse({"cycle", "cancel", id}), HasSubstr("ended"));
    third = Show(id).candidate_model_version_id();
  }
  {
    SCOPED_TRACE("its candidate past the gate, and refused by somebody who must sign");
    const auto id = Start({"--candidate", third, "--override-reason", "a rehearsal"});
    WaitFor(id, training::v1::CYCLE_STATE_AWAITING_SIGN_OFF);
    EXPECT_THAT(Refuse({"models", "sign", third, "--role", "safety", "--as", "bob", "--refuse"}),
                HasSubstr("reason"));
    EXPECT_EQ(Show(id).state(), training::v1::CYCLE_STATE_AWAITING_SIGN_OFF);
    EXPECT_THAT(Say({"models", "sign", third, "--role", "safety", "--as", "bob", "--refuse",
                     "--reason", "blind at night"}),
                HasSubstr("refused by bob"));
    WaitFor(id, training::v1::CYCLE_STATE_REJECTED);
    EXPECT_THAT(Show(id).reason(), HasSubstr("safety"));
    EXPECT_THAT(Say({"models", "signatures", third}),
                AllOf(HasSubstr("refused"), HasSubstr("blind at night")));
  }
  {
    SCOPED_TRACE("the given candidate again, past the gate");
    const auto id = Start(
        {"--candidate", second_, "--override-reason", "the lamps are new", "--reason", "a trial"});
    WaitFor(id, training::v1::CYCLE_STATE_AWAITING_SIGN_OFF);
    EXPECT_THAT(Say({"cycle", "list", "--state", "awaiting-sign-off"}), HasSubstr(id));
    EXPECT_THAT(Refuse({"cycle", "start", "--task", kTask}), HasSubstr(id + " of the task is"));
    EXPECT_THAT(Refuse({"models", "sign", second_, "--role", "janitor"}), HasSubstr("janitor"));
    Say({"cycle", "pause", id});
    EXPECT_THAT(Say({"models", "sign", second_, "--role", "owner", "--as", "ann"}),
                HasSubstr("still to sign: safety"));
    EXPECT_THAT(Say({"models", "sign", second_, "--role", "safety", "--as", "bob", "--reason",
                     "seen at night"}),
                HasSubstr("signed by bob"));
    EXPECT_THAT(Say({"models", "signatures", second_}),
                AllOf(HasSubstr("ann"), HasSubstr("seen at night")));
    EXPECT_EQ(Show(id).state(), training::v1::CYCLE_STATE_AWAITING_SIGN_OFF);
    EXPECT_THAT(Say({"cycle", "resume", id}), ::testing::Not(HasSubstr("paused")));
    WaitFor(id, training::v1::CYCLE_STATE_CANARY);
    EXPECT_TRUE(testing::Eventually(60s, [&] {
      const auto shown = Say({"rollout", "show", kTask});
      return shown.find("canary") != std::string::npos;
    }));
    {
      const Traffic traffic(*platform_, false);
      WaitFor(id, training::v1::CYCLE_STATE_PROMOTED);
    }
    EXPECT_THAT(Say({"deployments"}), HasSubstr(second_));
    EXPECT_THAT(Say({"rollout", "show", kTask}), HasSubstr("no candidate"));
    EXPECT_THAT(Say({"audit", "list"}), HasSubstr("override_reason: the lamps are new"));
    EXPECT_THAT(Say({"trace", "cycle", id}), AllOf(HasSubstr(id), HasSubstr(second_)));
    EXPECT_THAT(Refuse({"trace", "cycle", NewUuid()}), HasSubstr("cycle"));
    Wheel wheel(*platform_, kTask);
    ASSERT_TRUE(wheel.WaitUntilServed(second_).ok());
  }
  {
    SCOPED_TRACE("one that an alert starts");
    Traffic traffic(*platform_, true);
    std::string id;
    ASSERT_TRUE(testing::Eventually(90s, [&] {
      const auto list = Read<training::v1::ListCyclesResponse>({"cycle", "list", "--task", kTask});
      if (list.cycles_size() > 0 && list.cycles(0).trigger() == "alert") {
        id = list.cycles(0).cycle_id();
      }
      return !id.empty();
    }));
    const auto alert = Show(id).alert_id();
    EXPECT_THAT(Say({"alerts", "list", "--task", kTask}), HasSubstr(alert));
    EXPECT_THAT(Say({"alerts", "show", alert}), HasSubstr("reference"));
    EXPECT_THAT(Say({"findings", "--alert", alert, "--firing"}), HasSubstr("yes"));
    EXPECT_THAT(Say({"alerts", "ack", alert, "--actor", "ann"}), HasSubstr("acknowledged by"));
    EXPECT_THAT(Say({"alerts", "list", "--state", "acknowledged"}), HasSubstr(alert));
    EXPECT_THAT(Say({"alerts", "mute", alert, "--seconds", "600"}), HasSubstr("(muted)"));
    EXPECT_THAT(Say({"alerts", "mute", alert, "--seconds", "0"}),
                ::testing::Not(HasSubstr("(muted)")));
    EXPECT_THAT(Say({"cycle", "decisions", "--task", kTask}), HasSubstr(alert));

    WaitFor(id, training::v1::CYCLE_STATE_LABELING);
    const auto folder = (scratch_.path() / "to-judge").string();
    std::size_t judged = 0;
    while (Show(id).state() == training::v1::CYCLE_STATE_LABELING && judged < 100) {
      const auto end = Cli({"label", "next", "--task", kTask, "--as", "ann", "--count", "5",
                            "--save", folder, "--json"});
      ASSERT_EQ(end.status, 0) << end.errors;
      labeling::v1::LeaseItemsResponse leased;
      google::protobuf::util::JsonParseOptions options;
      options.ignore_unknown_fields = true;  // Such as where the picture was saved.
      ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(end.output, &leased, options).ok())
          << end.output;
      if (judged == 0 && leased.items_size() > 1) {
        GiveOneBack(Show(id).batch_id(), &leased);
      }
      std::vector<std::string> votes = {"label", "submit", "--as", "ann"};
      for (const auto& item : leased.items()) {
        std::ifstream file(folder + "/" + item.lease_id() + ".pgm", std::ios::binary);
        const std::string picture((std::istreambuf_iterator<char>(file)), {});
        ASSERT_NE(traffic.ClassOf(picture), "") << item.sample_id();
        votes.insert(votes.end(), {item.lease_id(), traffic.ClassOf(picture)});
      }
      if (leased.items_size() == 0) {
        std::this_thread::sleep_for(50ms);
        continue;
      }
      if (judged == 0) {  // In the middle of it, somebody stops it for a while.
        Say({"cycle", "pause", id});
        EXPECT_THAT(Say({"cycle", "show", id}), HasSubstr("labeling (paused)"));
        Say({"cycle", "resume", id});
      }
      EXPECT_THAT(Say(votes), HasSubstr("accepted"));
      judged += static_cast<std::size_t>(leased.items_size());
    }
    EXPECT_EQ(judged, 12U);
    EXPECT_THAT(Say({"label", "batches", "--task", kTask}), HasSubstr("complete"));
    WaitFor(id, training::v1::CYCLE_STATE_REJECTED);
    const auto cycle = Show(id);
    EXPECT_EQ(cycle.cost().labels(), 12U);
    EXPECT_GT(cycle.cost().cpu_seconds(), 0);
    EXPECT_GT(cycle.cost().wall_seconds(), 0);
    EXPECT_THAT(Say({"cycle", "show", id}),
                AllOf(HasSubstr("CRITERION"), HasSubstr("CHOSEN AS"), HasSubstr("labeling"),
                      HasSubstr("12 of 12 samples labeled")));
    EXPECT_THAT(Say({"trace", "cycle", id}),
                AllOf(HasSubstr(alert), HasSubstr(cycle.candidate_model_version_id())));

    EXPECT_THAT(Say({"alerts", "resolve", alert, "--reason", "the lamps stay as they are",
                     "--actor", "bob"}),
                HasSubstr("resolved"));
    EXPECT_THAT(Say({"alerts", "list", "--state", "resolved"}), HasSubstr(alert));
    EXPECT_THAT(Say({"alerts", "show", alert}),
                AllOf(HasSubstr("bob"), HasSubstr("the lamps stay as they are")));
    EXPECT_THAT(Refuse({"alerts", "resolve", NewUuid(), "--reason", "gone"}), HasSubstr("alert"));
  }
  EXPECT_THAT(Say({"audit", "verify"}), HasSubstr("entries"));
}

}  // namespace
}  // namespace tidewheel::tests
