#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace tidewheel::cli {

/// Small pictures of numbers for a terminal, made of Unicode's block characters. Every line ends
/// with a line end, except where a text is one line without any.

/// One bar, `text` after it.
struct Bar {
  std::string label;
  double value = 0;
  std::string text;
};

/// Bars from zero to the largest value, at most `width` columns long; values below zero and such
/// that are no numbers get none. A value above zero is always to be seen.
std::string BarChart(std::span<const Bar> bars, std::size_t width = 40);

/// One line, a column a value, eight heights from zero to `top` (none: the largest). What is no
/// number is a blank.
std::string Sparkline(std::span<const double> values, std::optional<double> top = {});

struct LineChartOptions {
  std::size_t width = 72;               // Columns; more values than that are averaged.
  std::size_t height = 8;               // Lines.
  std::vector<std::size_t> marks = {};  // Indices of values to be marked below.
  std::optional<double> low = {};       // Of the axis; none: what the values need.
  std::optional<double> high = {};
  std::vector<double> limits = {};  // Dotted lines at these heights.
};

/// The course of `values` over their index, with the axis' numbers on the left. What is no number
/// is a gap.
std::string LineChart(std::span<const double> values, const LineChartOptions& options = {});

}  // namespace tidewheel::cli
