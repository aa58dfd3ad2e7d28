#include "tidewheel/cli/output/chart.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <limits>
#include <string_view>

#include "tidewheel/cli/output/table.h"

namespace tidewheel::cli {
namespace {

constexpr std::array<std::string_view, 9> kHeights = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
constexpr std::array<std::string_view, 8> kWidths = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};

std::string AxisNumber(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

std::string Padded(std::string text, std::size_t width) {
  const std::size_t has = DisplayWidth(text);
  if (has < width) text.append(width - has, ' ');
  return text;
}

/// The mean of what falls into each column.
std::vector<double> Columns(std::span<const double> values, std::size_t width) {
  const std::size_t columns = std::min(width, values.size());
  std::vector<double> means(columns, std::numeric_limits<double>::quiet_NaN());
  for (std::size_t c = 0; c < columns; ++c) {
    double sum = 0;
    std::size_t count = 0;
    for (std::size_t i = c * values.size() / columns; i < (c + 1) * values.size() / columns; ++i) {
      if (!std::isfinite(values[i])) continue;
      sum += values[i];
      ++count;
    }
    if (count > 0) means[c] = sum / static_cast<double>(count);
  }
  return means;
}

}  // namespace

std::string BarChart(std::span<const Bar> bars, std::size_t width) {
  double top = 0;
  std::size_t labels = 0;
  for (const Bar& bar : bars) {
    if (std::isfinite(bar.value)) top = std::max(top, bar.value);
    labels = std::max(labels, DisplayWidth(bar.label));
  }
  std::string text;
  for (const Bar& bar : bars) {
    std::string drawn;
    if (top > 0 && bar.value > 0 && std::isfinite(bar.value)) {
      const double eighths = bar.value / top * static_cast<double>(width) * 8;
      const auto whole = std::max<std::size_t>(1, static_cast<std::size_t>(std::lround(eighths)));
      for (std::size_t i = 0; i < whole / 8; ++i) drawn += kHeights[8];
      drawn += kWidths[whole % 8];
    }
    text += Padded(bar.label, labels) + "  " + Padded(drawn, bar.text.empty() ? 0 : width) +
            (bar.text.empty() ? "" : "  " + bar.text) + "\n";
  }
  return text;
}

std::string Sparkline(std::span<const double> values, std::optional<double> top) {
  double most = top.value_or(0);
  if (!top) {
    for (const double value : values) {
      if (std::isfinite(value)) most = std::max(most, value);
    }
  }
  std::string text;
  for (const double value : values) {
    std::size_t height = 0;
    if (std::isfinite(value) && value > 0 && most > 0) {
      height = std::clamp<std::size_t>(static_cast<std::size_t>(std::ceil(value / most * 8)), 1, 8);
    }
    text += kHeights[height];
  }
  return text;
}

std::string LineChart(std::span<const double> values, const LineChartOptions& options) {
  if (values.empty() || options.width == 0 || options.height == 0) return "";
  const std::vector<double> columns = Columns(values, options.width);
  double low = options.low.value_or(std::numeric_limits<double>::infinity());
  double high = options.high.value_or(-std::numeric_limits<double>::infinity());
  const auto include = [&](double value) {
    if (!std::isfinite(value)) return;
    if (!options.low) low = std::min(low, value);
    if (!options.high) high = std::max(high, value);
  };
  for (const double value : columns) include(value);
  for (const double limit : options.limits) include(limit);
  if (!(low <= high)) return "";
  if (low == high) {
    low -= 0.5;
    high += 0.5;
  }

  // Each line is `step` high; a value fills the line it ends in by eighths.
  const auto lines = static_cast<double>(options.height);
  const double step = (high - low) / lines;
  const auto line_of = [&](double value) {
    const auto line = static_cast<std::ptrdiff_t>(std::floor((value - low) / step));
    return std::clamp<std::ptrdiff_t>(line, 0, static_cast<std::ptrdiff_t>(options.height) - 1);
  };
  std::vector<std::vector<std::string>> cells(options.height,
                                              std::vector<std::string>(columns.size(), " "));
  for (const double limit : options.limits) {
    if (!std::isfinite(limit) || limit < low || limit > high) continue;
    for (auto& cell : cells[static_cast<std::size_t>(line_of(limit))]) cell = "·";
  }
  for (std::size_t c = 0; c < columns.size(); ++c) {
    if (!std::isfinite(columns[c])) continue;
    const auto line = static_cast<std::size_t>(line_of(columns[c]));
    const double within = (columns[c] - low) / step - static_cast<double>(line);
    const auto height =
        std::clamp<std::ptrdiff_t>(static_cast<std::ptrdiff_t>(std::ceil(within * 8)), 1, 8);
    cells[line][c] = kHeights[static_cast<std::size_t>(height)];
  }

  const std::string top = AxisNumber(high);
  const std::string bottom = AxisNumber(low);
  const std::size_t axis = std::max(DisplayWidth(top), DisplayWidth(bottom));
  std::string text;
  for (std::size_t i = options.height; i-- > 0;) {
    std::string name = i + 1 == options.height ? top : i == 0 ? bottom : "";
    name.insert(0, axis - DisplayWidth(name), ' ');
    text += name + " │";
    for (const auto& cell : cells[i]) text += cell;
    text += "\n";
  }
  if (!options.marks.empty()) {
    std::vector<bool> marked(columns.size(), false);
    for (const std::size_t mark : options.marks) {
      if (mark < values.size()) marked[mark * columns.size() / values.size()] = true;
    }
    text += std::string(axis, ' ') + "  ";
    for (const bool mark : marked) text += mark ? "▲" : " ";
    text += "\n";
  }
  return text;
}

}  // namespace tidewheel::cli
