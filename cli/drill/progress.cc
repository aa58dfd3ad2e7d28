#include "tidewheel/cli/drill/progress.h"

namespace tidewheel::cli::drill {

void Progress::Title(const std::string& text) {
  const std::lock_guard lock(mutex_);
  account_.Title(text);
}

void Progress::Say(const std::string& text) {
  std::string at = FormatNumber(seconds(), 1);
  if (at.size() < 6) at.insert(0, 6 - at.size(), ' ');
  const std::lock_guard lock(mutex_);
  account_.Say("[" + at + " s] " + text);
}

void Progress::Show(const Table& table) {
  const std::lock_guard lock(mutex_);
  account_.Show(table);
}

}  // namespace tidewheel::cli::drill
