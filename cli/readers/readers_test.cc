#include <gtest/gtest.h>
#include <sys/stat.h>
#include <zip.h>
#include <zlib.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tidewheel/cli/readers/csv_index.h"
#include "tidewheel/cli/readers/csv_reader.h"
#include "tidewheel/cli/readers/folder_reader.h"
#include "tidewheel/cli/readers/idx_reader.h"
#include "tidewheel/cli/readers/input_file.h"
#include "tidewheel/cli/readers/open_pictures.h"
#include "tidewheel/cli/readers/text_rules.h"
#include "tidewheel/cli/readers/zip_reader.h"

namespace tidewheel::cli {
namespace {

namespace fs = std::filesystem;

// A folder of the test's own.
class ReadersTest : public ::testing::Test {
 protected:
  ReadersTest() {
    std::string pattern = (fs::temp_directory_path() / "tidewheel-readers-XXXXXX").string();
    folder_ = fs::canonical(::mkdtemp(pattern.data()));
  }
  ~ReadersTest() override { fs::remove_all(folder_); }

  fs::path Write(const std::string& name, const std::string& bytes) {
    const fs::path path = folder_ / name;
    fs::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }

  fs::path WriteGzip(const std::string& name, const std::string& bytes) {
    const fs::path path = folder_ / name;
    gzFile file = gzopen(path.c_str(), "wb");
    gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size()));
    gzclose(file);
    return path;
  }

  struct Member {
    std::string name;
    std::string bytes;
    bool stored = false;
  };
  fs::path WriteZip(const std::string& name, const std::vector<Member>& members) {
    const fs::path path = folder_ / name;
    int error = 0;
    zip_t* archive = zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, &error);
    for (const auto& member : members) {
      if (member.name.ends_with('/')) {
        zip_dir_add(archive, member.name.c_str(), 0);
        continue;
      }
      zip_source_t* source =
          zip_source_buffer(archive, member.bytes.data(), member.bytes.size(), 0);
      const auto index = zip_file_add(archive, member.name.c_str(), source, 0);
      zip_set_file_compression(archive, static_cast<zip_uint64_t>(index),
                               member.stored ? ZIP_CM_STORE : ZIP_CM_DEFLATE, 0);
    }
    EXPECT_EQ(zip_close(archive), 0);
    return path;
  }

  fs::path folder_;
};

struct Everything {
  std::vector<Picture> pictures;
  std::vector<RefusedPicture> refused;
  std::optional<Error> error;
  std::uint64_t skipped = 0;
};

Everything ReadAll(Result<std::unique_ptr<PictureSource>> source) {
  Everything all;
  if (!source) {
    all.error = source.error();
    return all;
  }
  while (true) {
    auto next = (*source)->Next();
    if (!next) {
      all.error = next.error();
      break;
    }
    if (!next->has_value()) break;
    if (auto* picture = std::get_if<Picture>(&**next)) all.pictures.push_back(std::move(*picture));
    if (auto* refused = std::get_if<RefusedPicture>(&**next)) all.refused.push_back(*refused);
  }
  all.skipped = (*source)->skipped();
  return all;
}

std::vector<std::string> Names(const Everything& all) {
  std::vector<std::string> names;
  for (const auto& picture : all.pictures) names.push_back(picture.name);
  return names;
}

std::string Word(std::uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift & 0xFF);
  return bytes;
}

std::string Idx(std::uint32_t count, std::uint32_t rows, std::uint32_t columns,
                const std::string& pixels) {
  return Word(0x803) + Word(count) + Word(rows) + Word(columns) + pixels;
}

using Strings = std::vector<std::string>;

// IDX.

TEST_F(ReadersTest, IdxPicturesBecomeNamedPgm) {
  const auto path = Write("train-images", Idx(2, 2, 3, "abcdefghijkl"));

  const auto all = ReadAll(OpenIdxPictures(path, {}));

  ASSERT_FALSE(all.error) << all.error->message;
  EXPECT_EQ(Names(all), (Strings{"train-images#0", "train-images#1"}));
  EXPECT_EQ(all.pictures[0].payload, "P5\n3 2\n255\nabcdef");
  EXPECT_EQ(all.pictures[1].payload, "P5\n3 2\n255\nghijkl");
}

TEST_F(ReadersTest, IdxInGzipIsUnpackedOnTheWayAndItsNameTellsTheSplit) {
  const auto path = WriteGzip("t10k-images-idx3-ubyte.gz", Idx(1, 1, 4, "wxyz"));
  ReadOptions options;
  options.split_from_path = true;

  const auto all = ReadAll(OpenPictures(path, std::nullopt, options));

  ASSERT_EQ(Names(all), (Strings{"t10k-images-idx3-ubyte.gz#0"}));
  EXPECT_EQ(all.pictures[0].metadata.at("split"), "test");
}

TEST_F(ReadersTest, IdxThatEndsInsideAPictureGivesTheWholeOnesAndThenDataLoss) {
  const auto path = Write("images", Idx(3, 1, 4, "abcdefgh12"));

  const auto all = ReadAll(OpenIdxPictures(path, {}));

  EXPECT_EQ(all.pictures.size(), 2u);
  ASSERT_TRUE(all.error);
  EXPECT_EQ(all.error->code, ErrorCode::kDataLoss);
  EXPECT_NE(all.error->message.find("picture 2 of 3"), std::string::npos);
}

TEST_F(ReadersTest, IdxWithBytesAfterItsLastPictureIsDamaged) {
  const auto all = ReadAll(OpenIdxPictures(Write("images", Idx(1, 1, 1, "ab")), {}));

  ASSERT_TRUE(all.error);
  EXPECT_EQ(all.error->code, ErrorCode::kDataLoss);
}

TEST_F(ReadersTest, IdxHeaderThatClaimsHugePicturesIsRefusedBeforeMemoryIsTaken) {
  for (const auto& header :
       {Idx(1, 0xFFFFFFFF, 0xFFFFFFFF, ""), Idx(1, 0, 4, ""), Idx(1, 16'385, 1, "")}) {
    const auto all = ReadAll(OpenIdxPictures(Write("images", header), {}));

    ASSERT_TRUE(all.error);
    EXPECT_EQ(all.error->code, ErrorCode::kInvalidArgument);
  }
}

TEST_F(ReadersTest, CutGzipIsDataLoss) {
  std::string pixels(100'000, '\0');
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<char>(i * i >> 3 & 0xFF);
  const auto path = WriteGzip("images.gz", Idx(100, 10, 100, pixels));
  fs::resize_file(path, fs::file_size(path) / 2);

  const auto all = ReadAll(OpenIdxPictures(path, {}));

  ASSERT_TRUE(all.error);
  EXPECT_EQ(all.error->code, ErrorCode::kDataLoss);
  EXPECT_LT(all.pictures.size(), 100u);
}

TEST_F(ReadersTest, IdxLabelsAreCountedAgainstTheirHeader) {
  auto labels = IdxLabels::Open(Write("labels", Word(0x801) + Word(3) + "\x01\x02\x09"));
  ASSERT_TRUE(labels);
  std::vector<int> values;
  while (true) {
    const auto label = labels->Next();
    ASSERT_TRUE(label);
    if (!label->has_value()) break;
    values.push_back(**label);
  }
  EXPECT_EQ(values, (std::vector<int>{1, 2, 9}));

  auto cut = IdxLabels::Open(Write("cut", Word(0x801) + Word(3) + "\x01\x02"));
  ASSERT_TRUE(cut);
  EXPECT_EQ(cut->Next().error().code, ErrorCode::kDataLoss);
  EXPECT_FALSE(IdxLabels::Open(Write("pictures", Idx(1, 1, 1, "a"))));
}

// ZIP.

TEST_F(ReadersTest, ZipMembersStoredAndDeflatedAreReadInTheirOrder) {
  const std::string large(50'000, 'x');
  const auto path = WriteZip("pictures.zip", {{"a/", ""},
                                              {"a/train/2.jpg", "two", true},
                                              {"a/test/1.png", large},
                                              {"a/.DS_Store", "noise"},
                                              {"__MACOSX/a/2.jpg", "noise"},
                                              {"a/notes.txt", "notes"}});
  ReadOptions options;
  options.split_from_path = true;

  const auto all = ReadAll(OpenPictures(path, std::nullopt, options));

  ASSERT_FALSE(all.error) << all.error->message;
  EXPECT_EQ(Names(all), (Strings{"a/train/2.jpg", "a/test/1.png"}));
  EXPECT_EQ(all.pictures[1].payload, large);
  EXPECT_EQ(all.pictures[0].metadata.at("split"), "training");
  EXPECT_EQ(all.pictures[1].metadata.at("split"), "test");
  EXPECT_EQ(all.skipped, 3u);
}

TEST_F(ReadersTest, ZipMemberOverTheLimitIsRefusedWhateverItsHeaderClaims) {
  const auto path =
      WriteZip("bomb.zip", {{"bomb.jpg", std::string(1 << 20, '\0')}, {"ok.jpg", "fine"}});
  ReadOptions options;
  options.max_payload_bytes = 1'000;

  auto all = ReadAll(OpenZipPictures(path, options));
  ASSERT_EQ(all.refused.size(), 1u);
  EXPECT_EQ(all.refused[0].name, "bomb.jpg");
  EXPECT_EQ(Names(all), (Strings{"ok.jpg"}));

  // The same with a header that lies about the size: 0x00100000, in the local header and the
  // directory.
  std::ifstream file(path, std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(file)), {});
  const std::string claimed("\0\0\x10\0", 4);
  for (auto at = bytes.find(claimed); at != std::string::npos; at = bytes.find(claimed, at)) {
    bytes.replace(at, 4, std::string("\x0A\0\0\0", 4));
  }
  all = ReadAll(OpenZipPictures(Write("liar.zip", bytes), options));
  EXPECT_TRUE(all.error || all.refused.size() == 1) << Names(all).size();
  for (const auto& picture : all.pictures) EXPECT_LE(picture.payload.size(), 1'000u);
}

TEST_F(ReadersTest, DamagedZipMemberIsRefusedAndTheRestIsRead) {
  const auto path = WriteZip("p.zip", {{"a.jpg", "AAAAAAAAAA", true}, {"b.jpg", "BBBB", true}});
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  std::string bytes((std::istreambuf_iterator<char>(file)), {});
  file.clear();
  file.seekp(static_cast<std::streamoff>(bytes.find("AAAAAAAAAA")));
  file << "X";
  file.close();

  const auto all = ReadAll(OpenZipPictures(path, {}));

  ASSERT_EQ(all.refused.size(), 1u);
  EXPECT_NE(all.refused[0].reason.find("damaged"), std::string::npos);
  EXPECT_EQ(Names(all), (Strings{"b.jpg"}));
}

TEST_F(ReadersTest, CutZipIsAnError) {
  const auto path = WriteZip("p.zip", {{"a.jpg", "AAAA"}});
  fs::resize_file(path, fs::file_size(path) - 5);

  EXPECT_EQ(OpenZipPictures(path, {}).error().code, ErrorCode::kInvalidArgument);
}

TEST_F(ReadersTest, ZipMemberWithAnEndlessNameIsRefused) {
  const auto all =
      ReadAll(OpenZipPictures(WriteZip("p.zip", {{std::string(2'000, 'n') + ".jpg", "A"}}), {}));

  ASSERT_EQ(all.refused.size(), 1u);
  EXPECT_NE(all.refused[0].reason.find("1024"), std::string::npos);
}

// CSV.

Result<std::vector<CsvRow>> ReadRows(const fs::path& path) {
  auto reader = CsvReader::Open(path);
  if (!reader) return reader.error();
  std::vector<CsvRow> rows;
  while (true) {
    auto row = reader->Next();
    if (!row) return row.error();
    if (!row->has_value()) return rows;
    rows.push_back(std::move(**row));
  }
}

TEST_F(ReadersTest, CsvQuotesLineEndsAndByteOrderMarkAreUnderstood) {
  const auto path = Write("t.csv",
                          "\xEF\xBB\xBF"
                          "a,b\r\n\"x, \"\"y\"\"\nz\",2\r\n\r\n,\"\"\nlast,no line end");

  const auto rows = ReadRows(path);

  ASSERT_TRUE(rows) << rows.error().message;
  ASSERT_EQ(rows->size(), 3u);
  EXPECT_EQ((*rows)[0].fields, (Strings{"x, \"y\"\nz", "2"}));
  EXPECT_EQ((*rows)[1].fields, (Strings{"", ""}));
  EXPECT_EQ((*rows)[1].line, 5u);
  EXPECT_EQ((*rows)[2].fields, (Strings{"last", "no line end"}));
}

TEST_F(ReadersTest, CsvOfOneColumnKeepsQuotedEmptyFields) {
  const auto rows = ReadRows(Write("t.csv", "a\n\"\"\n\nx\n"));

  ASSERT_TRUE(rows);
  EXPECT_EQ(rows->size(), 2u);
}

TEST_F(ReadersTest, BrokenCsvIsRefusedWithItsLine) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "no header"},
      {"a,a\n", "two columns"},
      {"a,b\n1\n", ":2: 1 fields"},
      {"a\n\"never closed\nx\n", ":2: a quote is never closed"},
      {"a\n\"x\"y\n", "after a closing quote"},
      {std::string("a\nx\0y\n", 6), "NUL"},
      {"a\n\xFF\n", "UTF-8"},
      {"a\n" + std::string(70'000, 'x') + "\n", "64.0 KiB"},
      {std::string(5000, ','), "4096 columns"},
  };
  for (const auto& [text, message] : cases) {
    const auto rows = ReadRows(Write("t.csv", text));

    ASSERT_FALSE(rows) << message;
    EXPECT_EQ(rows.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(rows.error().message.find(message), std::string::npos) << rows.error().message;
  }
}

TEST_F(ReadersTest, CsvIndexTakesMetadataSplitGroupAndTimeFromItsColumns) {
  Write("set/p/1.jpg", "one");
  const auto csv = Write("set/index.csv",
                         "path,split,label,camera,night,collected_at\n"
                         "p/1.jpg,test,red,7,true,2026-11-22T10:00:00Z\n"
                         "p/2.jpg,test,red,7,true,\n"
                         "./p/1.jpg,test,red,7,true,yesterday\n");
  ReadOptions options;
  options.split_key = "part";
  options.group_column = "camera";

  const auto all = ReadAll(OpenPictures(csv, std::nullopt, options));

  ASSERT_FALSE(all.error) << all.error->message;
  ASSERT_EQ(Names(all), (Strings{"p/1.jpg"}));
  const auto& picture = all.pictures[0];
  EXPECT_EQ(picture.payload, "one");
  EXPECT_EQ(picture.metadata,
            (std::map<std::string, std::string>{{"part", "test"}, {"night", "true"}}));
  EXPECT_EQ(picture.group, "7");
  EXPECT_TRUE(picture.collected_at);
  ASSERT_EQ(all.refused.size(), 2u);
  EXPECT_NE(all.refused[0].reason.find("line 3"), std::string::npos);
  EXPECT_NE(all.refused[1].reason.find("collected_at"), std::string::npos);
}

TEST_F(ReadersTest, CsvIndexCannotReachFilesOutsideOfItsFolder) {
  Write("secret.jpg", "secret");
  fs::create_directories(folder_ / "set");
  fs::create_symlink(folder_ / "secret.jpg", folder_ / "set" / "link.jpg");
  const auto csv =
      Write("set/index.csv", "path\n../secret.jpg\n" + (folder_ / "secret.jpg").string() +
                                 "\nlink.jpg\nx/../../secret.jpg\n");

  const auto all = ReadAll(OpenPictures(csv, std::nullopt, {}));

  EXPECT_TRUE(all.pictures.empty());
  EXPECT_EQ(all.refused.size(), 4u);
}

TEST_F(ReadersTest, CsvIndexOverAnArchiveNamesItsMembers) {
  const auto zip = WriteZip("p.zip", {{"a/1.jpg", "one"}});
  const auto csv = Write("index.csv", "path,label\na/1.jpg,red\na/2.jpg,red\n");

  const auto all = ReadAll(OpenPictures(csv, zip, {}));

  EXPECT_EQ(Names(all), (Strings{"a/1.jpg"}));
  EXPECT_EQ(all.refused.size(), 1u);
}

// Folders and files.

TEST_F(ReadersTest, FolderIsReadInOrderWithoutHiddenFilesAndWithoutFollowingFolderLinks) {
  Write("set/b/2.png", "two");
  Write("set/a/1.jpg", "one");
  Write("set/.hidden/3.jpg", "three");
  Write("set/readme.md", "text");
  fs::create_directory_symlink(folder_ / "set", folder_ / "set" / "circle");

  const auto all = ReadAll(OpenFolderPictures(folder_ / "set" / "", {}));

  ASSERT_FALSE(all.error);
  EXPECT_EQ(Names(all), (Strings{"set/a/1.jpg", "set/b/2.png"}));
  EXPECT_EQ(all.skipped, 2u);
}

TEST_F(ReadersTest, FileIsNamedAsAPushOfItsFolderWouldNameIt) {
  const auto path = Write("set/1.jpg", "one");

  EXPECT_EQ(Names(ReadAll(OpenPictures(path, std::nullopt, {}))), (Strings{"set/1.jpg"}));
}

TEST_F(ReadersTest, FileOverTheLimitIsRefusedWithoutBeingRead) {
  const auto path = Write("large.jpg", "");
  fs::resize_file(path,
                  std::uintmax_t{200} << 20);  // Sparse: two hundred megabytes that are nowhere.

  const auto all = ReadAll(OpenPictures(path, std::nullopt, {}));

  ASSERT_EQ(all.refused.size(), 1u);
  EXPECT_EQ(all.refused[0].reason, "200.0 MiB is over the limit of 20.0 MiB");
}

TEST_F(ReadersTest, WhatIsNoRegularFileIsRefusedWithoutWaiting) {
  ASSERT_EQ(::mkfifo((folder_ / "pipe.jpg").c_str(), 0600), 0);

  const auto all = ReadAll(OpenFolderPictures(folder_, {}));

  EXPECT_EQ(all.refused.size(), 1u);
  EXPECT_EQ(ReadAll(OpenPictures("/dev/zero", std::nullopt, {})).refused.size(), 1u);
}

TEST_F(ReadersTest, MissingPathIsNotFound) {
  EXPECT_EQ(OpenPictures(folder_ / "none", std::nullopt, {}).error().code, ErrorCode::kNotFound);
}

TEST_F(ReadersTest, NameThatIsNotUtf8IsRefused) {
  Write("\xFF.jpg", "x");

  const auto all = ReadAll(OpenFolderPictures(folder_, {}));

  ASSERT_EQ(all.refused.size(), 1u);
  EXPECT_TRUE(IsUtf8(all.refused[0].name));
}

// Rules of text.

TEST(TextRulesTest, Utf8IsCheckedAsRfc3629HasIt) {
  for (const char* good :
       {"", "plain", "\xC3\xA4", "\xE2\x82\xAC", "\xF0\x9F\x9A\xA6", "\xEF\xBF\xBF"}) {
    EXPECT_TRUE(IsUtf8(good)) << good;
  }
  for (const char* bad :
       {"\x80", "\xC0\xAF", "\xC3", "\xE0\x80\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xF8"}) {
    EXPECT_FALSE(IsUtf8(bad));
  }
}

TEST(TextRulesTest, WhatIsPrintedCannotSteerATerminal) {
  EXPECT_EQ(Printable("a\x1b[31mb\n\xC2\x9B"
                      "c\xFF"),
            "a\\x1B[31mb\\x0A\\xC2\\x9Bc\\xFF");
  EXPECT_EQ(Printable("\xC3\xA4"), "\xC3\xA4");
  EXPECT_EQ(Printable(std::string(300, 'x')).size(), 203u);
}

TEST(TextRulesTest, SplitComesFromTheFolderBeforeTheFile) {
  EXPECT_EQ(SplitOfPath("data/train/red/test-1.jpg"), "training");
  EXPECT_EQ(SplitOfPath("data/Val/1.jpg"), "validation");
  EXPECT_EQ(SplitOfPath("t10k-images-idx3-ubyte.gz"), "test");
  EXPECT_EQ(SplitOfPath("testament/1.jpg"), std::nullopt);
}

}  // namespace
}  // namespace tidewheel::cli
