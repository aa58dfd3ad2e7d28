#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include "tidewheel/base/result.h"
#include "tidewheel/cli/readers/picture_source.h"

namespace tidewheel::cli {

/// The pictures that a CSV file lists in its column `path`, named as it names them. `split` goes to
/// the metadata under the task's key, `collected_at` (RFC 3339) to the sample, `label` and `class`
/// are left to `label import`, the group column to the group, all others to the metadata. Files are
/// looked up beside the CSV file, and a path that leads out of that folder is refused; with
/// `archive` they are members of that ZIP archive.
Result<std::unique_ptr<PictureSource>> OpenCsvIndex(
    const std::filesystem::path& path, const std::optional<std::filesystem::path>& archive,
    const ReadOptions& options);

}  // namespace tidewheel::cli
