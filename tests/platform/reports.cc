#include "tidewheel/tests/platform/reports.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include <fstream>
#include <sstream>

namespace tidewheel::tests {

std::map<std::string, std::optional<double>> ReadFigures(const std::filesystem::path& report) {
  std::map<std::string, std::optional<double>> read;
  std::ostringstream text;
  text << std::ifstream(report).rdbuf();
  google::protobuf::Struct document;
  const auto parsed = google::protobuf::util::JsonStringToMessage(text.str(), &document);
  EXPECT_TRUE(parsed.ok()) << parsed.ToString() << "\n" << report;
  const auto figures = document.fields().find("figures");
  if (figures == document.fields().end()) return read;
  EXPECT_EQ(document.fields().at("schema").string_value(), "tidewheel.report.v1");
  for (const auto& value : figures->second.list_value().values()) {
    const auto& fields = value.struct_value().fields();
    EXPECT_FALSE(fields.at("how").string_value().empty()) << fields.at("name").string_value();
    const auto& measured = fields.at("value");
    read[fields.at("name").string_value()] =
        measured.kind_case() == google::protobuf::Value::kNumberValue
            ? std::optional(measured.number_value())
            : std::nullopt;
  }
  return read;
}

DemoEnd RunDemo(const Platform& platform, const std::vector<std::string>& arguments,
                std::chrono::seconds at_most) {
  const testing::TempFolder folder;
  const auto report = folder.path() / "report.json";
  std::vector<std::string> argv = {"tidewheel-demo", "--platform", platform.file().string(),
                                   "--report", report.string()};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  DemoEnd end;
  end.program = RunProgram(argv, at_most);

  end.figures = ReadFigures(report);
  if (::testing::Test::HasFailure()) ADD_FAILURE() << end.program.output << end.program.errors;
  return end;
}

std::vector<std::string> RequiredFigures(const std::vector<std::string>& classes) {
  std::vector<std::string> names = {"demo.samples.pushed",
                                    "demo.samples.accepted",
                                    "demo.samples.quarantined",
                                    "demo.quarantined.undecodable",
                                    "demo.quarantined.underexposed",
                                    "demo.quarantined.overexposed",
                                    "demo.quarantined.blurred",
                                    "demo.quarantined.exact_duplicate",
                                    "demo.quarantined.near_duplicate",
                                    "demo.consensus.majority.accuracy",
                                    "demo.consensus.dawid_skene.accuracy",
                                    "demo.dataset.imbalance",
                                    "demo.linear.test.accuracy",
                                    "demo.cnn.test.accuracy",
                                    "demo.predict.p50",
                                    "demo.predict.p99",
                                    "demo.trace.votes"};
  for (const auto& name : classes) names.push_back("demo.cnn.test.recall." + name);
  for (const char* stage : {"push", "label", "dataset", "train", "promote", "predict", "trace"}) {
    names.push_back("demo.stage." + std::string(stage) + ".seconds");
    names.push_back("demo.stage." + std::string(stage) + ".per_second");
  }
  return names;
}

}  // namespace tidewheel::tests
