#include "tidewheel/cli/demo/account.h"

#include <algorithm>
#include <cstdio>

namespace tidewheel::cli::demo {
namespace {

void Write(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

}  // namespace

void Account::Title(std::string_view text) { Write("\n" + std::string(text) + "\n"); }

void Account::Say(std::string_view text) { Write("  " + std::string(text) + "\n"); }

void Account::Show(const Table& table) { ShowText(table.Text()); }

void Account::ShowText(std::string_view text) {
  std::string indented;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    indented += "    " + std::string(text.substr(0, end)) + "\n";
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  Write(indented);
}

std::string FormatSeconds(double seconds) {
  if (seconds < 0.010) return FormatNumber(seconds * 1'000, 2) + " ms";
  if (seconds < 1) return FormatNumber(seconds * 1'000, 0) + " ms";
  return FormatNumber(seconds, seconds < 100 ? 1 : 0) + " s";
}

std::string FormatPercent(double share, int digits) {
  return FormatNumber(share * 100, digits) + " %";
}

double StageTimer::Finish(Report& report, double count, std::string_view things) const {
  const double taken = seconds();
  const std::string stage = "demo.stage." + name_;
  report.Set(stage + ".seconds", taken, "seconds", "wall clock of the stage, on the client");
  report.Set(stage + ".per_second", count / std::max(taken, 1e-9), "per_second",
             std::string(things) + " over the stage's seconds");
  return taken;
}

}  // namespace tidewheel::cli::demo
