#include <charconv>
#include <filesystem>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "tidewheel/base/clock.h"
#include "tidewheel/cli/analyze/analyze.h"
#include "tidewheel/cli/analyze/inputs.h"
#include "tidewheel/cli/output/chart.h"
#include "tidewheel/stats/leakage.h"

namespace tidewheel::cli {
namespace {

struct LeakageOptions {
  std::filesystem::path table;
  std::string split = "split";
  std::string label;
  std::string group;
  std::string time;
  std::string digest;
  std::string hash;
  stats::LeakagePolicy policy;
};

/// Texts, one a row.
std::vector<std::string> TextsOf(const TableColumn& column) {
  std::vector<std::string> texts;
  for (const std::int32_t code : column.codes) {
    texts.push_back(code < 0 ? std::string() : column.texts[static_cast<std::size_t>(code)]);
  }
  return texts;
}

Error Bad(const LeakageOptions& options, std::size_t row, const std::string& column,
          const std::string& what) {
  return {ErrorCode::kInvalidArgument, options.table.string() + ", row " + std::to_string(row) +
                                           ", column " + column + ": " + what};
}

Result<std::vector<stats::Split>> SplitsOf(const TableColumn& column,
                                           const LeakageOptions& options) {
  std::vector<stats::Split> splits;
  for (const auto& text : TextsOf(column)) {
    if (text == "training" || text == "train") {
      splits.push_back(stats::Split::kTraining);
    } else if (text == "validation" || text == "valid" || text == "val") {
      splits.push_back(stats::Split::kValidation);
    } else if (text == "test") {
      splits.push_back(stats::Split::kTest);
    } else {
      return Bad(options, splits.size(), column.name,
                 "training, validation or test is wanted, not '" + text + "'");
    }
  }
  return splits;
}

/// Dates and times as microseconds, or plain numbers as they are.
Result<std::vector<std::int64_t>> TimesOf(const TableColumn& column,
                                          const LeakageOptions& options) {
  std::vector<std::int64_t> times;
  for (const auto& text : TextsOf(column)) {
    std::int64_t number = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
    if (read.ec == std::errc() && read.ptr == text.data() + text.size()) {
      times.push_back(number);
      continue;
    }
    // A date alone is its first moment.
    const auto at = ParseUtc(text.size() == 10 ? text + "T00:00:00Z" : text);
    if (!at) return Bad(options, times.size(), column.name, "no time: '" + text + "'");
    times.push_back(at->time_since_epoch().count());
  }
  return times;
}

Result<std::vector<stats::Bits128>> HashesOf(const TableColumn& column,
                                             const LeakageOptions& options) {
  std::vector<stats::Bits128> hashes;
  for (const auto& text : TextsOf(column)) {
    stats::Bits128 bits{};
    const char* const end = text.data() + text.size();
    bool good = text.size() == 32;
    if (good) {
      const auto high = std::from_chars(text.data(), text.data() + 16, bits[0], 16);
      const auto low = std::from_chars(text.data() + 16, end, bits[1], 16);
      good = high.ec == std::errc() && high.ptr == text.data() + 16 && low.ec == std::errc() &&
             low.ptr == end;
    }
    if (!good) return Bad(options, hashes.size(), column.name, "32 hexadecimal digits are wanted");
    hashes.push_back(bits);
  }
  return hashes;
}

Result<std::vector<Digest>> DigestsOf(const TableColumn& column, const LeakageOptions& options) {
  std::vector<Digest> digests;
  for (const auto& text : TextsOf(column)) {
    const auto digest = Digest::FromHex(text);
    if (!digest) return Bad(options, digests.size(), column.name, digest.error().message);
    digests.push_back(*digest);
  }
  return digests;
}

/// What the report looks at; owns what LeakageInput views.
struct Inputs {
  std::vector<stats::Split> splits;
  std::vector<Digest> digests;
  std::vector<stats::Bits128> hashes;
  std::vector<std::string> groups;
  std::vector<std::int64_t> times;
  std::vector<std::int32_t> labels;
  std::vector<stats::FeatureColumn> features;
  std::size_t classes = 0;
};

Result<Inputs> InputsOf(const NumberTable& table, const LeakageOptions& options) {
  Inputs inputs;
  const auto splits = table.Find(options.split);
  if (!splits) return splits.error();
  auto read_splits = SplitsOf(**splits, options);
  if (!read_splits) return read_splits.error();
  inputs.splits = *std::move(read_splits);
  const auto fill = [&](const std::string& name, auto& into, const auto& read) -> Result<void> {
    if (name.empty()) return {};
    const auto column = table.Find(name);
    if (!column) return column.error();
    auto values = read(**column, options);
    if (!values) return values.error();
    into = *std::move(values);
    return {};
  };
  if (auto done = fill(options.digest, inputs.digests, DigestsOf); !done) return done.error();
  if (auto done = fill(options.hash, inputs.hashes, HashesOf); !done) return done.error();
  if (auto done = fill(options.time, inputs.times, TimesOf); !done) return done.error();
  if (!options.group.empty()) {
    const auto column = table.Find(options.group);
    if (!column) return column.error();
    inputs.groups = TextsOf(**column);
  }
  if (!options.label.empty()) {
    const auto column = table.Find(options.label);
    if (!column) return column.error();
    if (auto complete = RequireComplete(**column, options.table); !complete) {
      return complete.error();
    }
    const Names classes = Names::Of(std::vector<const TableColumn*>{*column});
    inputs.labels = classes.IndicesOf(**column);
    inputs.classes = classes.size();
  }
  const std::set<std::string> spoken_for = {options.split, options.label,  options.group,
                                            options.time,  options.digest, options.hash};
  for (const auto& column : table.columns()) {
    if (spoken_for.count(column.name) > 0) continue;
    if (column.IsNumbers() && column.missing > 0) {
      Remark(column.name + " is not looked at: it has missing numbers");
      continue;
    }
    inputs.features.push_back(
        column.IsNumbers() ? stats::FeatureColumn{.name = column.name, .numeric = column.numbers}
                           : stats::FeatureColumn{.name = column.name, .nominal = column.codes});
  }
  return inputs;
}

JsonObject ToJson(const stats::DuplicateReport& report) {
  return JsonObject()
      .Set("pairs", report.pairs)
      .Set("pairs_across", report.pairs_across)
      .Set("leaked_rows", std::uint64_t{report.leaked.size()});
}

Result<ExitStatus> Run(CommandLine& line, const LeakageOptions& options) {
  // Everything that is no feature is a text.
  const auto header = NumberTable::Read(options.table);
  if (!header) return header.error();
  const std::set<std::string> texts = {options.split, options.label,  options.group,
                                       options.time,  options.digest, options.hash};
  TableOptions wanted;
  for (const auto& column : header->columns()) {
    wanted.columns.push_back(
        {column.name, texts.count(column.name) > 0 ? ColumnKind::kTexts : ColumnKind::kAuto});
  }
  const auto table = NumberTable::Read(options.table, wanted);
  if (!table) return table.error();
  const auto inputs = InputsOf(*table, options);
  if (!inputs) return inputs.error();
  const auto report = stats::ReportLeakage({.splits = inputs->splits,
                                            .digests = inputs->digests,
                                            .hashes = inputs->hashes,
                                            .groups = inputs->groups,
                                            .times = inputs->times,
                                            .features = inputs->features,
                                            .labels = inputs->labels,
                                            .classes = inputs->classes},
                                           options.policy);
  if (!report) return report.error();
  const auto status = report->findings.empty() ? ExitStatus::kOk : ExitStatus::kPartly;

  if (line.json()) {
    JsonObject out;
    out.Set("rows", std::uint64_t{table->rows()}).EnsureList("findings");
    for (const auto& finding : report->findings) {
      out.Add("findings", JsonObject().Set("text", finding));
    }
    out.EnsureList("not_checked");
    for (const auto& reason : report->not_checked) {
      out.Add("not_checked", JsonObject().Set("text", reason));
    }
    if (report->exact) out.Set("exact_duplicates", ToJson(*report->exact));
    if (report->near) out.Set("near_duplicates", ToJson(*report->near));
    if (report->groups) {
      out.Set("groups", JsonObject()
                            .Set("groups", report->groups->groups)
                            .Set("groups_across", report->groups->groups_across));
    }
    for (const auto& feature : report->features) {
      JsonObject entry;
      entry.Set("name", feature.name)
          .Set("identifier", feature.identifier.is_identifier)
          .Set("different_share", feature.identifier.share);
      if (feature.power) entry.Set("predictive_power", feature.power->score);
      out.Add("features", entry);
    }
    Print(out.Text());
    return status;
  }
  Print(report->findings.empty() ? "nothing was found\n" : "Findings\n");
  for (const auto& finding : report->findings) Print("  " + finding + "\n");
  if (!report->not_checked.empty()) Print("\nNot checked\n");
  for (const auto& reason : report->not_checked) Print("  " + reason + "\n");
  if (!report->features.empty()) {
    std::vector<Bar> bars;
    for (const auto& feature : report->features) {
      bars.push_back({feature.name, feature.power ? feature.power->score : 0,
                      (feature.power ? FormatNumber(feature.power->score, 3) : std::string("-")) +
                          (feature.identifier.is_identifier ? "  identifier" : "")});
    }
    Print("\nHow well each column alone tells the label\n" + BarChart(bars));
  }
  return status;
}

}  // namespace

void AddAnalyzeLeakage(CommandLine& line, CLI::App* group) {
  const auto options = std::make_shared<LeakageOptions>();
  auto* command =
      line.AddCommand(group, "leakage", "What leaks from training into evaluation (3: something)");
  command->add_option("table", options->table, "CSV, a row a sample")->required();
  command->add_option("--split", options->split, "Column: training, validation or test")
      ->capture_default_str();
  command->add_option("--label", options->label, "Column: the class, for predictive power");
  command->add_option("--group", options->group, "Column: the entity a sample is of");
  command->add_option("--time", options->time, "Column: ISO 8601 or a number");
  command->add_option("--digest", options->digest, "Column: SHA-256 of the payload");
  command->add_option("--hash", options->hash, "Column: 128-bit difference hash, hexadecimal");
  command
      ->add_option("--near-distance", options->policy.near_distance,
                   "Bits in which near duplicates differ at most")
      ->capture_default_str();
  command
      ->add_option("--predictive-power", options->policy.predictive_power,
                   "Above this a column alone tells too much")
      ->capture_default_str();
  command->add_flag("--split-by-time", options->policy.split_by_time,
                    "Training must end before evaluation begins");
  line.OnRun(command, [&line, options] { return Run(line, *options); });
}

}  // namespace tidewheel::cli
