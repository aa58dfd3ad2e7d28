#include "tidewheel/cli/readers/csv_index.h"

#include <utility>

#include "tidewheel/cli/readers/csv_reader.h"
#include "tidewheel/cli/readers/input_file.h"
#include "tidewheel/cli/readers/text_rules.h"
#include "tidewheel/cli/readers/zip_reader.h"

namespace tidewheel::cli {
namespace {

namespace fs = std::filesystem;

// What ingestion takes at most.
constexpr std::size_t kMaxPairs = 64;
constexpr std::size_t kMaxKeyBytes = 64;
constexpr std::size_t kMaxValueBytes = 1024;

class CsvIndex final : public PictureSource {
 public:
  CsvIndex(CsvReader table, std::size_t path_column, fs::path folder,
           std::optional<ZipArchive> archive, ReadOptions options)
      : table_(std::move(table)),
        path_column_(path_column),
        folder_(std::move(folder)),
        archive_(std::move(archive)),
        options_(std::move(options)) {}

  Result<std::optional<ReadPicture>> Next() override {
    auto row = table_.Next();
    if (!row) return row.error();
    if (!row->has_value()) return std::optional<ReadPicture>();
    return std::optional<ReadPicture>(Read(**row));
  }

 private:
  ReadPicture Read(const CsvRow& row) const {
    const fs::path relative = fs::path(row.fields[path_column_]).lexically_normal();
    Picture picture;
    picture.name = relative.generic_string();
    const auto refuse = [&](const std::string& reason) -> ReadPicture {
      return RefusedPicture{picture.name, "line " + std::to_string(row.line) + ": " + reason};
    };
    if (const auto problem = ProblemOfName(picture.name); !problem.empty()) return refuse(problem);
    if (const auto problem = ReadColumns(row, &picture); !problem.empty()) return refuse(problem);
    auto payload = archive_ ? ReadMember(picture.name) : ReadBeside(relative);
    if (!payload) return refuse(payload.error().message);
    picture.payload = *std::move(payload);
    return picture;
  }

  std::string ReadColumns(const CsvRow& row, Picture* picture) const {
    for (std::size_t i = 0; i < row.fields.size(); ++i) {
      const std::string& column = table_.columns()[i];
      const std::string& value = row.fields[i];
      if (i == path_column_ || value.empty()) continue;
      if (!options_.group_column.empty() && column == options_.group_column) {
        picture->group = value;
      } else if (column == "collected_at") {
        const auto time = ParseUtc(value);
        if (!time) return "collected_at: " + time.error().message;
        picture->collected_at = *time;
      } else if (column == "split") {
        picture->metadata[options_.split_key] = value;
      } else if (column != "label" && column != "class") {
        if (column.size() > kMaxKeyBytes || value.size() > kMaxValueBytes) {
          return "column \"" + Printable(column, 80) + "\" is over the limit of " +
                 std::to_string(kMaxKeyBytes) + " bytes of name and " +
                 std::to_string(kMaxValueBytes) + " of value";
        }
        picture->metadata[column] = value;
      }
    }
    if (options_.split_from_path && !picture->metadata.contains(options_.split_key)) {
      if (const auto split = SplitOfPath(picture->name)) {
        picture->metadata[options_.split_key] = *split;
      }
    }
    if (picture->metadata.size() > kMaxPairs) {
      return "more than " + std::to_string(kMaxPairs) + " columns of metadata";
    }
    return {};
  }

  Result<std::string> ReadMember(const std::string& name) const {
    const auto index = archive_->Find(name);
    if (!index) return index.error();
    return archive_->Read(*index, options_.max_payload_bytes);
  }

  // A list from elsewhere must not make us send files that it has no business with.
  Result<std::string> ReadBeside(const fs::path& relative) const {
    std::error_code error;
    const fs::path real = fs::weakly_canonical(folder_ / relative, error);
    const fs::path inside = error ? fs::path("..") : real.lexically_relative(folder_);
    if (relative.is_absolute() || inside.empty() || *inside.begin() == "..") {
      return Error{ErrorCode::kPermissionDenied, "leads out of the folder of the CSV file"};
    }
    return ReadWholeFile(real, options_.max_payload_bytes);
  }

  CsvReader table_;
  const std::size_t path_column_;
  const fs::path folder_;
  const std::optional<ZipArchive> archive_;
  const ReadOptions options_;
};

}  // namespace

Result<std::unique_ptr<PictureSource>> OpenCsvIndex(const fs::path& path,
                                                    const std::optional<fs::path>& archive,
                                                    const ReadOptions& options) {
  auto table = CsvReader::Open(path);
  if (!table) return table.error();
  const auto path_column = table->Find("path");
  if (!path_column) {
    return Error{ErrorCode::kInvalidArgument, Printable(path.string()) + ": no column \"path\""};
  }
  if (!options.group_column.empty() && !table->Find(options.group_column)) {
    return Error{ErrorCode::kInvalidArgument, Printable(path.string()) + ": no column \"" +
                                                  Printable(options.group_column) + "\""};
  }
  std::optional<ZipArchive> opened;
  if (archive) {
    auto zip = ZipArchive::Open(*archive);
    if (!zip) return zip.error();
    opened = *std::move(zip);
  }
  std::error_code error;
  fs::path folder = fs::weakly_canonical(fs::absolute(path, error), error).parent_path();
  return std::unique_ptr<PictureSource>(std::make_unique<CsvIndex>(
      *std::move(table), *path_column, std::move(folder), std::move(opened), options));
}

}  // namespace tidewheel::cli
