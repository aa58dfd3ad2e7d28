#include "tidewheel/cli/readers/folder_reader.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "tidewheel/cli/readers/input_file.h"
#include "tidewheel/cli/readers/text_rules.h"

namespace tidewheel::cli {
namespace {

namespace fs = std::filesystem;

fs::path Absolute(const fs::path& path) {
  std::error_code error;
  fs::path absolute = fs::absolute(path, error);
  if (error) return path.lexically_normal();
  absolute = absolute.lexically_normal();
  // "pictures/" names the same folder as "pictures".
  return absolute.has_filename() ? absolute : absolute.parent_path();
}

ReadPicture ReadFile(const fs::path& path, const std::string& name, const ReadOptions& options) {
  if (const auto problem = ProblemOfName(name); !problem.empty()) {
    return RefusedPicture{Printable(name), problem};
  }
  auto payload = ReadWholeFile(path, options.max_payload_bytes);
  if (!payload) return RefusedPicture{name, payload.error().message};
  Picture picture{name, *std::move(payload), {}, {}, {}};
  if (options.split_from_path) {
    if (const auto split = SplitOfPath(name)) picture.metadata[options.split_key] = *split;
  }
  return picture;
}

class FolderPictures final : public PictureSource {
 public:
  FolderPictures(fs::path root, ReadOptions options)
      : root_(std::move(root)), options_(std::move(options)) {
    pending_.push_back(root_);
  }

  std::uint64_t skipped() const override { return skipped_; }

  Result<std::optional<ReadPicture>> Next() override {
    while (!pending_.empty()) {
      const fs::path path = std::move(pending_.back());
      pending_.pop_back();
      std::error_code error;
      const auto link = fs::symlink_status(path, error);
      if (fs::is_directory(link)) {
        if (auto listed = List(path); !listed) return listed.error();
        continue;
      }
      // A link to a folder may lead in a circle; a link to a file is a file.
      if (fs::is_symlink(link) && fs::is_directory(path, error)) {
        ++skipped_;
        continue;
      }
      if (!options_.all_files && !LooksLikePicture(path.filename().string())) {
        ++skipped_;
        continue;
      }
      const std::string name = (root_.filename() / path.lexically_relative(root_)).generic_string();
      return std::optional<ReadPicture>(ReadFile(path, name, options_));
    }
    return std::optional<ReadPicture>();
  }

 private:
  Result<void> List(const fs::path& folder) {
    std::error_code error;
    std::vector<fs::path> entries;
    for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
         entry.increment(error)) {
      if (entry->path().filename().string().starts_with('.')) continue;
      entries.push_back(entry->path());
    }
    if (error) {
      return Error{ErrorCode::kPermissionDenied,
                   Printable(folder.string()) + ": " + error.message()};
    }
    // The stack gives the last first.
    std::sort(entries.begin(), entries.end(), std::greater<>());
    pending_.insert(pending_.end(), std::make_move_iterator(entries.begin()),
                    std::make_move_iterator(entries.end()));
    return {};
  }

  const fs::path root_;
  const ReadOptions options_;
  std::vector<fs::path>
      pending_;  // A stack: what is yet to be read of the folders that were opened.
  std::uint64_t skipped_ = 0;
};

class OnePicture final : public PictureSource {
 public:
  OnePicture(fs::path path, ReadOptions options)
      : path_(std::move(path)), options_(std::move(options)) {}

  std::optional<std::uint64_t> expected() const override { return 1; }

  Result<std::optional<ReadPicture>> Next() override {
    if (std::exchange(done_, true)) return std::optional<ReadPicture>();
    const fs::path absolute = Absolute(path_);
    const std::string name =
        (absolute.parent_path().filename() / absolute.filename()).generic_string();
    return std::optional<ReadPicture>(ReadFile(path_, name, options_));
  }

 private:
  const fs::path path_;
  const ReadOptions options_;
  bool done_ = false;
};

}  // namespace

Result<std::unique_ptr<PictureSource>> OpenFolderPictures(const fs::path& path,
                                                          const ReadOptions& options) {
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    return Error{ErrorCode::kNotFound, Printable(path.string()) + ": no such folder"};
  }
  // The folder itself may be a link: it was named by the caller.
  fs::path root = Absolute(path);
  if (fs::is_symlink(fs::symlink_status(root, error))) root = fs::canonical(root, error);
  return std::unique_ptr<PictureSource>(std::make_unique<FolderPictures>(root, options));
}

std::unique_ptr<PictureSource> OpenPictureFile(const fs::path& path, const ReadOptions& options) {
  return std::make_unique<OnePicture>(path, options);
}

}  // namespace tidewheel::cli
