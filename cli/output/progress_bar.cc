#include "tidewheel/cli/output/progress_bar.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "tidewheel/cli/output/table.h"
#include "tidewheel/cli/readers/text_rules.h"

namespace tidewheel::cli {
namespace {

int TerminalWidth() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

}  // namespace

std::string ProgressLine(const std::string& title, std::uint64_t done,
                         std::optional<std::uint64_t> total, const std::string& note, int width) {
  std::string line = title + " ";
  if (total && *total > 0) {
    constexpr std::uint64_t kCells = 24;
    const std::uint64_t filled = std::min(done, *total) * kCells / *total;
    line += "[" + std::string(filled, '=') + (filled < kCells ? ">" : "") +
            std::string(filled < kCells ? kCells - filled - 1 : 0, ' ') + "] " + FormatCount(done) +
            "/" + FormatCount(*total);
  } else {
    line += FormatCount(done);
  }
  if (!note.empty()) line += "  " + Printable(note);
  const auto room = static_cast<std::size_t>(std::max(width - 1, 10));
  if (line.size() > room) line.resize(room);
  return line;
}

ProgressBar::ProgressBar(std::string title)
    : title_(std::move(title)), draws_(::isatty(STDERR_FILENO) == 1) {}

ProgressBar::~ProgressBar() {
  if (draws_) std::fputs("\r\x1b[K", stderr);
}

void ProgressBar::Show(std::uint64_t done, std::optional<std::uint64_t> total,
                       const std::string& note) {
  if (!draws_) return;
  const std::lock_guard lock(mutex_);
  const auto now = std::chrono::steady_clock::now();
  if (now - last_ < std::chrono::milliseconds(100)) return;
  last_ = now;
  const std::string line = ProgressLine(title_, done, total, note, TerminalWidth());
  std::fprintf(stderr, "\r%s\x1b[K", line.c_str());
  std::fflush(stderr);
}

}  // namespace tidewheel::cli
