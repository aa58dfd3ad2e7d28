#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "tidewheel/cli/analyze/analyze.h"
#include "tidewheel/cli/analyze/inputs.h"
#include "tidewheel/cli/output/chart.h"
#include "tidewheel/labels/agreement.h"
#include "tidewheel/labels/choice.h"
#include "tidewheel/labels/consensus.h"
#include "tidewheel/labels/crowdlab.h"
#include "tidewheel/labels/votes.h"

namespace tidewheel::cli {
namespace {

constexpr std::size_t kQualityBins = 20;

struct ConsensusCommandOptions {
  std::filesystem::path votes;
  std::filesystem::path truth;
  std::filesystem::path probabilities;
  std::filesystem::path out;
  std::string method = "auto";
  std::uint64_t seed = 0;
  std::uint64_t limit = 20;
};

/// Votes with the names that their numbers stand for.
struct NamedVotes {
  Names items;
  Names workers;
  Names classes;
  std::vector<std::int32_t> item = {};
  std::vector<std::int32_t> worker = {};
  std::vector<std::int32_t> label = {};

  labels::Votes View() const {
    return {item, worker, label, items.size(), workers.size(), classes.size()};
  }
};

/// Items whose truth is known, as indices into the votes' names.
struct Truth {
  std::vector<std::int32_t> item;
  std::vector<std::int32_t> label;
};

Result<NamedVotes> ReadVotes(const std::filesystem::path& path) {
  const auto table = NumberTable::Read(path, {.columns = {{"item", ColumnKind::kTexts},
                                                          {"worker", ColumnKind::kTexts},
                                                          {"label", ColumnKind::kTexts}}});
  if (!table) return table.error();
  const auto& columns = table->columns();
  for (const auto& column : {columns[0], columns[1]}) {
    if (auto complete = RequireComplete(column, path); !complete) return complete.error();
  }
  NamedVotes votes{.items = Names::Of(std::vector<const TableColumn*>{&columns[0]}),
                   .workers = Names::Of(std::vector<const TableColumn*>{&columns[1]}),
                   .classes = Names::Of(std::vector<const TableColumn*>{&columns[2]})};
  votes.item = votes.items.IndicesOf(columns[0]);
  votes.worker = votes.workers.IndicesOf(columns[1]);
  votes.label = votes.classes.IndicesOf(columns[2]);  // -1, an abstention, where missing.
  return votes;
}

Result<Truth> ReadTruth(const std::filesystem::path& path, const NamedVotes& votes) {
  const auto table = NumberTable::Read(
      path, {.columns = {{"item", ColumnKind::kTexts}, {"truth", ColumnKind::kTexts}}});
  if (!table) return table.error();
  const auto items = votes.items.IndicesOf(table->columns()[0]);
  const auto labels = votes.classes.IndicesOf(table->columns()[1]);
  Truth truth;
  std::uint64_t unknown = 0;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (items[i] < 0 || labels[i] < 0) {
      ++unknown;
      continue;
    }
    truth.item.push_back(items[i]);
    truth.label.push_back(labels[i]);
  }
  if (unknown > 0) {
    Remark(FormatCount(unknown) + " rows of " + path.string() +
           " name an item or a class that no vote names; they are left out");
  }
  return truth;
}

/// The share of items that are right, an item with tied classes counting for its share.
double AccuracyWithTiesShared(const labels::Consensus& consensus, const Truth& truth,
                              std::size_t classes) {
  constexpr double kTie = 1e-12;
  double right = 0;
  for (std::size_t i = 0; i < truth.item.size(); ++i) {
    const auto row = std::span(consensus.posterior)
                         .subspan(static_cast<std::size_t>(truth.item[i]) * classes, classes);
    const double most = *std::max_element(row.begin(), row.end());
    if (row[static_cast<std::size_t>(truth.label[i])] < most - kTie) continue;
    const auto tied =
        std::count_if(row.begin(), row.end(), [most](double p) { return p >= most - kTie; });
    right += 1 / static_cast<double>(tied);
  }
  return truth.item.empty() ? 0 : right / static_cast<double>(truth.item.size());
}

struct MethodRow {
  std::string name;
  std::optional<labels::Consensus> consensus = {};
  std::string problem = {};
  std::optional<double> accuracy = {};
  std::optional<double> held_out = {};
};

Result<void> WriteLabels(const std::filesystem::path& path, const NamedVotes& votes,
                         const labels::Consensus& consensus) {
  std::ofstream file(path, std::ios::trunc);
  file << "item,label,confidence,tied\n";
  const auto quoted = [](const std::string& text) {
    if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
    std::string field = "\"";
    for (const char c : text) field += c == '"' ? std::string("\"\"") : std::string(1, c);
    return field + "\"";
  };
  for (std::size_t i = 0; i < votes.items.size(); ++i) {
    const auto label = static_cast<std::size_t>(consensus.label[i]);
    file << quoted(votes.items[i]) << ',' << quoted(votes.classes[label]) << ','
         << FormatNumber(consensus.posterior[i * votes.classes.size() + label], 6) << ','
         << static_cast<int>(consensus.tied[i]) << '\n';
  }
  file.close();
  if (!file) return Error{ErrorCode::kUnavailable, path.string() + " cannot be written"};
  return {};
}

Result<std::vector<MethodRow>> AllMethods(const NamedVotes& votes, const Truth* truth,
                                          const ConsensusCommandOptions& options) {
  std::vector<MethodRow> rows;
  for (const auto method : labels::kAllConsensusMethods) {
    MethodRow row{.name = std::string(labels::Name(method))};
    auto consensus = labels::FindConsensus(votes.View(), method);
    if (consensus) {
      row.consensus = *std::move(consensus);
    } else if (consensus.error().code == ErrorCode::kFailedPrecondition) {
      row.problem = consensus.error().message;
    } else {
      return consensus.error();
    }
    rows.push_back(std::move(row));
  }
  if (!options.probabilities.empty()) {
    const auto matrix = NumberMatrix::Read(options.probabilities);
    if (!matrix) return matrix.error();
    const auto values = matrix->Visit([](const auto& view) {
      return std::vector<double>(view.values.begin(), view.values.end());
    });
    MethodRow row{.name = "crowdlab"};
    auto consensus = labels::Crowdlab(votes.View(), {values, matrix->rows(), matrix->columns()});
    if (!consensus) return consensus.error();
    row.consensus = std::move(consensus->consensus);
    rows.push_back(std::move(row));
  }
  if (truth != nullptr) {
    for (auto& row : rows) {
      if (row.consensus) {
        row.accuracy = AccuracyWithTiesShared(*row.consensus, *truth, votes.classes.size());
      }
    }
  }
  return rows;
}

std::vector<double> QualityHistogram(const labels::Consensus& consensus) {
  std::vector<double> bins(kQualityBins, 0);
  for (const double quality : consensus.quality) {
    const auto bin = static_cast<std::size_t>(std::clamp(quality, 0.0, 1.0) * kQualityBins);
    ++bins[std::min(bin, kQualityBins - 1)];
  }
  return bins;
}

Result<ExitStatus> Run(CommandLine& line, const ConsensusCommandOptions& options) {
  const auto votes = ReadVotes(options.votes);
  if (!votes) return votes.error();
  std::optional<Truth> truth;
  if (!options.truth.empty()) {
    auto read = ReadTruth(options.truth, *votes);
    if (!read) return read.error();
    truth = *std::move(read);
  }
  auto rows = AllMethods(*votes, truth ? &*truth : nullptr, options);
  if (!rows) return rows.error();

  std::string chosen = options.method;
  std::string reason;
  labels::ChoiceOptions choosing;
  choosing.seed = options.seed;
  const auto choice =
      truth ? labels::ChooseByGoldItems(votes->View(), truth->item, truth->label, choosing)
            : labels::ChooseByHeldOutVotes(votes->View(), choosing);
  if (choice) {
    reason = choice->reason;
    for (std::size_t i = 0; i < choice->candidates.size(); ++i) {
      for (auto& row : *rows) {
        if (row.name == labels::Name(choice->candidates[i].method) &&
            choice->candidates[i].applies && choice->basis == labels::ChoiceBasis::kHeldOutVotes) {
          row.held_out = choice->candidates[i].score;
        }
      }
    }
    if (chosen == "auto") chosen = labels::Name(choice->method);
  } else if (chosen == "auto") {
    chosen = "majority";
    reason = "no choice could be made: " + choice.error().message;
  }
  const auto found = std::find_if(rows->begin(), rows->end(),
                                  [&](const MethodRow& row) { return row.name == chosen; });
  if (found == rows->end()) {
    std::string known;
    for (const auto& row : *rows) known += (known.empty() ? "" : ", ") + row.name;
    return Error{ErrorCode::kInvalidArgument, "no method " + chosen + "; there are auto, " + known};
  }
  if (!found->consensus) return Error{ErrorCode::kFailedPrecondition, found->problem};
  const labels::Consensus& consensus = *found->consensus;
  if (!options.out.empty()) {
    if (auto written = WriteLabels(options.out, *votes, consensus); !written) {
      return written.error();
    }
  }
  const auto alpha = labels::KrippendorffAlpha(votes->View());
  const auto fleiss = labels::FleissKappa(votes->View());
  std::vector<std::uint64_t> votes_of(votes->workers.size(), 0);
  for (std::size_t v = 0; v < votes->worker.size(); ++v) {
    if (votes->label[v] >= 0) ++votes_of[static_cast<std::size_t>(votes->worker[v])];
  }
  std::vector<std::size_t> order(votes->workers.size());
  for (std::size_t w = 0; w < order.size(); ++w) order[w] = w;
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return consensus.quality[a] < consensus.quality[b];
  });
  const std::size_t count =
      options.limit == 0 ? order.size() : std::min<std::size_t>(options.limit, order.size());

  if (line.json()) {
    JsonObject out;
    out.Set("votes", std::uint64_t{votes->item.size()})
        .Set("items", std::uint64_t{votes->items.size()})
        .Set("workers", std::uint64_t{votes->workers.size()})
        .Set("classes", std::uint64_t{votes->classes.size()});
    if (alpha) out.Set("krippendorff_alpha", *alpha);
    if (fleiss) out.Set("fleiss_kappa", *fleiss);
    for (const auto& row : *rows) {
      JsonObject entry;
      entry.Set("name", row.name);
      if (!row.problem.empty()) entry.Set("problem", row.problem);
      if (row.consensus) entry.Set("ties", std::uint64_t{row.consensus->ties});
      if (row.accuracy) entry.Set("accuracy", *row.accuracy);
      if (row.held_out) entry.Set("held_out", *row.held_out);
      out.Add("methods", entry);
    }
    out.Set("chosen", chosen).Set("reason", reason);
    for (std::size_t i = 0; i < count; ++i) {
      out.Add("workers_by_quality", JsonObject()
                                        .Set("worker", votes->workers[order[i]])
                                        .Set("votes", votes_of[order[i]])
                                        .Set("quality", consensus.quality[order[i]]));
    }
    Print(out.Text());
    return ExitStatus::kOk;
  }

  Print(FormatCount(votes->item.size()) + " votes of " + FormatCount(votes->workers.size()) +
        " workers on " + FormatCount(votes->items.size()) + " items, " +
        FormatCount(votes->classes.size()) + " classes; Krippendorff's alpha " +
        (alpha ? FormatNumber(*alpha) : "-") + ", Fleiss' kappa " +
        (fleiss ? FormatNumber(*fleiss) : "-") + "\n\n");
  Table methods({"METHOD", ">TIES", ">ACCURACY", ">HELD OUT", ""});
  for (const auto& row : *rows) {
    methods.Add({row.name, row.consensus ? FormatCount(row.consensus->ties) : "-",
                 row.accuracy ? FormatNumber(*row.accuracy) : "-",
                 row.held_out ? FormatNumber(*row.held_out) : "-",
                 !row.problem.empty() ? "not applicable, because " + row.problem
                 : row.name == chosen ? "<- taken"
                                      : ""});
  }
  Print(methods.Text() + "\n" + reason + "\n\n");
  Print("Workers by quality, 0 to 1\n" + Sparkline(QualityHistogram(consensus)) + "\n\n");
  Table workers({"WORKER", ">VOTES", ">QUALITY"});
  for (std::size_t i = 0; i < count; ++i) {
    workers.Add({votes->workers[order[i]], FormatCount(votes_of[order[i]]),
                 FormatNumber(consensus.quality[order[i]])});
  }
  Print(workers.Text());
  if (count < order.size()) {
    Remark("showing the worst " + std::to_string(count) + " of " + std::to_string(order.size()) +
           " workers; --limit 0 shows all");
  }
  return ExitStatus::kOk;
}

}  // namespace

void AddAnalyzeConsensus(CommandLine& line, CLI::App* group) {
  const auto options = std::make_shared<ConsensusCommandOptions>();
  auto* command = line.AddCommand(group, "consensus", "From many people's votes to labels");
  command->add_option("votes", options->votes, "CSV item,worker,label; no label: abstained")
      ->required();
  command->add_option("--truth", options->truth, "CSV item,truth of some items: judges methods");
  command->add_option("--probabilities", options->probabilities,
                      "A classifier's probabilities, items x classes in the order of their names "
                      "(.npy or CSV): adds crowdlab");
  command
      ->add_option("--method", options->method,
                   "auto, majority, wawa, one-coin, dawid-skene, glad, mace or crowdlab")
      ->capture_default_str();
  command->add_option("--out", options->out, "Writes CSV item,label,confidence,tied");
  command->add_option("--seed", options->seed, "Of the votes held out")->capture_default_str();
  AddLimit(command, &options->limit);
  line.OnRun(command, [&line, options] { return Run(line, *options); });
}

}  // namespace tidewheel::cli
