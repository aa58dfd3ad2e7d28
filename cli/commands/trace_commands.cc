#include "tidewheel/cli/commands/lineage_tree.h"

#include <map>
#include <memory>
#include <set>

#include "tidewheel/cli/commands/command.h"
#include "tidewheel/cli/readers/text_rules.h"
#include "tidewheel/curation/v1/lineage_service.grpc.pb.h"

namespace tidewheel::cli {
namespace {

namespace v1 = curation::v1;

class TreePrinter {
 public:
  explicit TreePrinter(const v1::TraceResponse& trace) {
    for (const auto& node : trace.nodes()) nodes_.emplace(node.id(), &node);
    for (const auto& edge : trace.edges()) children_[edge.from_id()].push_back(&edge);
  }

  void Add(const std::string& id, const std::string& relation, const std::string& first,
           const std::string& rest, std::size_t depth) {
    const auto found = nodes_.find(id);
    text_ += first + (relation.empty() ? "" : Printable(relation) + ": ");
    if (found == nodes_.end()) {
      text_ += Printable(id) + " (not known)\n";
      return;
    }
    const auto& node = *found->second;
    text_ += Printable(node.kind()) + " " + Printable(node.id());
    if (!node.title().empty() && node.title() != node.id()) text_ += "  " + Printable(node.title());
    if (node.has_at()) text_ += "  " + FormatTime(node.at());
    const auto edges = children_.find(id);
    const bool again = !shown_.insert(id).second;
    // What was told once is not told again: lineage is a graph, and must end even if it were a
    // circle.
    if (again || depth > 32) {
      text_ += edges == children_.end() ? "\n" : "  (see above)\n";
      return;
    }
    text_ += "\n";
    const bool leaf = edges == children_.end();
    const std::map<std::string, std::string> attributes(node.attributes().begin(),
                                                        node.attributes().end());
    for (const auto& [key, value] : attributes) {
      text_ += rest + (leaf ? "    " : "│   ") + Printable(key) + ": " + Printable(value) + "\n";
    }
    if (leaf) return;
    for (std::size_t i = 0; i < edges->second.size(); ++i) {
      const auto& edge = *edges->second[i];
      const bool last = i + 1 == edges->second.size();
      Add(edge.to_id(), edge.relation(), rest + (last ? "└── " : "├── "),
          rest + (last ? "    " : "│   "), depth + 1);
    }
  }

  // Nodes that no edge leads to are not lost.
  void AddRest(const v1::TraceResponse& trace) {
    for (const auto& node : trace.nodes()) {
      if (!shown_.contains(node.id())) Add(node.id(), "", "", "", 0);
    }
  }

  std::string Text() && { return std::move(text_); }

 private:
  std::map<std::string, const v1::LineageNode*> nodes_;
  std::map<std::string, std::vector<const v1::LineageEdge*>> children_;
  std::set<std::string> shown_;
  std::string text_;
};

struct TraceOptions {
  std::string id;
  std::int32_t samples = 0;
};

Result<ExitStatus> Trace(CommandLine& line, const std::string& kind, const TraceOptions& options) {
  v1::TraceRequest request;
  if (kind == "prediction") request.set_prediction_request_id(options.id);
  if (kind == "model") request.set_model_version_id(options.id);
  if (kind == "run") request.set_run_id(options.id);
  if (kind == "dataset") request.set_dataset_version_id(options.id);
  if (kind == "sample") request.set_sample_id(options.id);
  if (kind == "cycle") request.set_cycle_id(options.id);
  request.set_samples(options.samples);
  const auto trace = line.platform().Call(&v1::LineageService::Stub::Trace, request);
  if (!trace) return trace.error();
  Print(line.json() ? ToJson(*trace) : LineageTree(*trace));
  return ExitStatus::kOk;
}

}  // namespace

std::string LineageTree(const v1::TraceResponse& trace) {
  TreePrinter tree(trace);
  if (trace.nodes_size() > 0) tree.Add(trace.nodes(0).id(), "", "", "", 0);
  tree.AddRest(trace);
  std::string text = std::move(tree).Text();
  if (trace.samples_not_shown() > 0) {
    text +=
        "and " + FormatCount(trace.samples_not_shown()) + " more samples of the dataset version\n";
  }
  if (trace.votes() > 0) text += FormatCount(trace.votes()) + " votes behind its labels\n";
  return text;
}

void AddTraceCommands(CommandLine& line) {
  auto* group = line.AddGroup("trace", "What made this?");
  const std::vector<std::pair<std::string, std::string>> kinds = {
      {"prediction", "A prediction, by its request id"},
      {"model", "A model version"},
      {"run", "A run"},
      {"dataset", "A dataset version"},
      {"sample", "A sample"},
      {"cycle", "A turn of the loop"},
  };
  for (const auto& [kind, description] : kinds) {
    const auto options = std::make_shared<TraceOptions>();
    auto* command = line.AddCommand(group, kind, description);
    command->add_option("ID", options->id, "Its id")->required();
    command
        ->add_option("--samples", options->samples,
                     "How many samples of the dataset to show with their votes")
        ->check(CLI::Range(0, 100));
    line.OnRun(command, [&line, kind = kind, options] { return Trace(line, kind, *options); });
  }
}

}  // namespace tidewheel::cli
