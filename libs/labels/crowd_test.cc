#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tidewheel/labels/agreement.h"
#include "tidewheel/labels/dawid_skene.h"
#include "tidewheel/labels/majority.h"

namespace tidewheel::labels {
namespace {

struct Table {
  std::vector<std::int32_t> item, worker, label, truth;
  std::size_t items = 0, workers = 0, classes = 0;

  void Add(std::int32_t i, std::int32_t w, std::int32_t l) {
    item.push_back(i);
    worker.push_back(w);
    label.push_back(l);
    items = std::max(items, static_cast<std::size_t>(i) + 1);
    workers = std::max(workers, static_cast<std::size_t>(w) + 1);
    classes = std::max(classes, static_cast<std::size_t>(l) + 1);
  }
  Votes view() const { return {item, worker, label, items, workers, classes}; }
};

double Accuracy(const Consensus& consensus, const Table& table) {
  double right = 0;
  for (std::size_t i = 0; i < table.items; ++i)
    right += consensus.label[i] == table.truth[i] ? 1 : 0;
  return right / static_cast<double>(table.items);
}

/// A public set of votes with the truth; empty where the data is not at hand.
Table Crowd(const std::string& name) {
  Table table;
  const char* folder = std::getenv("TIDEWHEEL_DATA");
  const char* source = std::getenv("TIDEWHEEL_SOURCE_DIR");
  const std::filesystem::path data =
      folder != nullptr
          ? folder
          : std::filesystem::path(source != nullptr ? source : ".") / "../shared/data";
  std::ifstream votes(data / "crowd" / name / "label.csv");
  std::ifstream truth(data / "crowd" / name / "truth.csv");
  std::string header;
  std::getline(votes, header);
  std::getline(truth, header);
  std::int32_t a = 0, b = 0, c = 0;
  char comma = 0;
  while (votes >> a >> comma >> b >> comma >> c) table.Add(a, b, c);
  table.truth.resize(table.items);
  while (truth >> a >> comma >> b) table.truth[static_cast<std::size_t>(a)] = b;
  return table;
}

double AccuracyWithTiesShared(const Consensus& consensus, const Table& table) {
  double right = 0;
  for (std::size_t i = 0; i < table.items; ++i) {
    const double* p = consensus.posterior.data() + i * table.classes;
    const double best = *std::max_element(p, p + table.classes);
    if (p[table.truth[i]] == best) {
      right += 1 / static_cast<double>(std::count(p, p + table.classes, best));
    }
  }
  return right / static_cast<double>(table.items);
}

struct CrowdFigures {
  const char* name;
  double majority;
  double dawid_skene;
  double alpha;  // 0: not published.
};

class CrowdTest : public testing::TestWithParam<CrowdFigures> {};

TEST_P(CrowdTest, ReproducesThePublishedFigures) {
  const Table table = Crowd(GetParam().name);
  if (table.item.empty()) GTEST_SKIP() << "no data at TIDEWHEEL_DATA";

  EXPECT_NEAR(AccuracyWithTiesShared(*Majority(table.view()), table), GetParam().majority, 5e-5);
  EXPECT_NEAR(Accuracy(*DawidSkene(table.view()), table), GetParam().dawid_skene, 5e-5);
  if (GetParam().alpha > 0) {
    EXPECT_NEAR(*KrippendorffAlpha(table.view()), GetParam().alpha, 5e-5);
  }
}

INSTANTIATE_TEST_SUITE_P(PublicSets, CrowdTest,
                         testing::Values(CrowdFigures{"product", .8966, .9400, .1575},
                                         CrowdFigures{"bluebird", .7593, .8981, .1255},
                                         CrowdFigures{"dog", .8222, .8426, .5194},
                                         CrowdFigures{"rte", .8969, .9275, 0}),
                         [](const auto& named) { return std::string(named.param.name); });

}  // namespace
}  // namespace tidewheel::labels
