#include <map>
#include <set>

#include "tidewheel/cli/demo/story.h"
#include "tidewheel/cli/readers/text_rules.h"
#include "tidewheel/curation/v1/lineage_service.grpc.pb.h"

namespace tidewheel::cli::demo {
namespace {

namespace v1 = curation::v1;

constexpr std::int32_t kSamplesShown = 2;
/// What else is worth a line of its own; the titles tell the rest.
const std::map<std::string, std::vector<std::string>> kShown = {
    {"model version", {"package_digest"}},
    {"run", {"code_version"}},
    {"dataset version", {"digest"}},
    {"sample", {"sha256"}},
};

/// The trace as a tree: titles, and the digests that prove them.
class Tree {
 public:
  explicit Tree(const v1::TraceResponse& trace) {
    for (const auto& node : trace.nodes()) nodes_.emplace(node.id(), &node);
    for (const auto& edge : trace.edges()) edges_[edge.from_id()].push_back(&edge);
    if (trace.nodes_size() > 0) Add(trace.nodes(0).id(), "", "", "");
  }

  const std::string& text() const { return text_; }

 private:
  void Add(const std::string& id, const std::string& relation, const std::string& first,
           const std::string& rest) {
    const auto found = nodes_.find(id);
    if (found == nodes_.end() || !shown_.insert(id).second) return;
    const v1::LineageNode& node = *found->second;
    text_ += first + (relation.empty() ? "" : Printable(relation) + " ") + Printable(node.kind()) +
             ": " + Printable(node.title()) + "\n";
    const auto below = edges_.find(id);
    const bool leaf = below == edges_.end();
    if (const auto wanted = kShown.find(node.kind()); wanted != kShown.end()) {
      for (const auto& key : wanted->second) {
        const auto value = node.attributes().find(key);
        if (value == node.attributes().end()) continue;
        text_ += rest + (leaf ? "    " : "│   ") + key + " " + Printable(value->second) + "\n";
      }
    }
    if (leaf) return;
    for (std::size_t i = 0; i < below->second.size(); ++i) {
      const bool last = i + 1 == below->second.size();
      const auto& edge = *below->second[i];
      Add(edge.to_id(), edge.relation(), rest + (last ? "└── " : "├── "),
          rest + (last ? "    " : "│   "));
    }
  }

  std::map<std::string, const v1::LineageNode*> nodes_;
  std::map<std::string, std::vector<const v1::LineageEdge*>> edges_;
  std::set<std::string> shown_;
  std::string text_;
};

}  // namespace

Result<void> TracePrediction(Story& story) {
  story.account.Title("Trace");
  const StageTimer timer("trace");
  v1::TraceRequest request;
  request.set_prediction_request_id(story.traced_request_id);
  request.set_samples(kSamplesShown);
  const auto trace = story.platform.Call(&v1::LineageService::Stub::Trace, request);
  if (!trace) return trace.error();
  const double seconds = timer.Finish(story.report, trace->nodes_size(), "things found");
  story.report.Set("demo.trace.votes", static_cast<double>(trace->votes()), "count",
                   "votes behind all labels of the traced prediction's dataset version");

  story.account.Say("prediction " + story.traced_request_id + ", in " + FormatSeconds(seconds) +
                    ":");
  story.account.ShowText(Tree(*trace).text());
  story.account.Say("and " + FormatCount(trace->samples_not_shown()) + " more samples; in all " +
                    FormatCount(trace->votes()) + " votes are behind its labels");
  // A trace that does not reach the ground is a failure, however well it reads.
  for (const char* kind :
       {"prediction", "model version", "run", "dataset version", "sample", "label", "vote"}) {
    bool reached = false;
    for (const auto& node : trace->nodes()) {
      reached = reached || (node.kind() == kind && !node.attributes().contains("missing"));
    }
    if (!reached) {
      return Error{ErrorCode::kDataLoss, std::string("the trace does not reach a ") + kind};
    }
  }
  return {};
}

}  // namespace tidewheel::cli::demo
