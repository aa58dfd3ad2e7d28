#include "tidewheel/blob/file_store.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <mutex>
#include <thread>

#include "tidewheel/base/random.h"
#include "tidewheel/blob/sha256.h"
#include "tidewheel/testing/subprocess.h"
#include "tidewheel/testing/temp_folder.h"

namespace tidewheel::blob {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

std::string AnyBytes(Random& random, std::size_t size) {
  std::string bytes(size, '\0');
  for (char& c : bytes) c = static_cast<char>(random.Next());
  return bytes;
}

std::string ReadFile(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class FileStoreTest : public ::testing::Test {
 protected:
  std::unique_ptr<FileStore> Open(const FileStoreOptions& options = {}) {
    auto store = FileStore::Open(folder_.path() / "payloads", options);
    EXPECT_TRUE(store.ok()) << store.error().message;
    return std::move(*store);
  }
  std::vector<fs::path> Segments() const {
    std::vector<fs::path> paths;
    for (const auto& entry : fs::directory_iterator(folder_.path() / "payloads/segments")) {
      paths.push_back(entry.path());
    }
    return paths;
  }

  testing::TempFolder folder_;
};

TEST_F(FileStoreTest, ReturnsWhatWasPutAlsoAfterReopening) {
  Random random(1);
  const std::vector<std::string> payloads = {"",
                                             "x",
                                             AnyBytes(random, 3000),
                                             AnyBytes(random, 1 << 20),
                                             AnyBytes(random, (1 << 20) + 1),
                                             std::string(100, '\0')};
  const std::vector<std::string_view> views(payloads.begin(), payloads.end());
  std::vector<Ref> refs;
  {
    const auto store = Open();
    auto put = store->PutMany(views);
    ASSERT_TRUE(put.ok()) << put.error().message;
    refs = *put;
    for (std::size_t i = 0; i < payloads.size(); ++i) EXPECT_EQ(*store->Get(refs[i]), payloads[i]);
  }
  ASSERT_EQ(refs.size(), payloads.size());
  EXPECT_EQ(refs[3].kind(), Ref::Kind::kSegment);
  EXPECT_EQ(refs[4].kind(), Ref::Kind::kObject);

  const auto again = Open();

  for (std::size_t i = 0; i < payloads.size(); ++i) {
    const auto got = again->Get(*Ref::Parse(refs[i].text()));
    ASSERT_TRUE(got.ok()) << got.error().message;
    EXPECT_EQ(*got, payloads[i]);
  }
  EXPECT_TRUE(again->PutMany({})->empty());
}

TEST_F(FileStoreTest, FoldersAndFilesArePrivate) {
  const auto store = Open();
  ASSERT_TRUE(store->Put("secret").ok());
  ASSERT_TRUE(store->Put(std::string(2 << 20, 'x')).ok());

  for (const auto& entry : fs::recursive_directory_iterator(folder_.path() / "payloads")) {
    EXPECT_EQ(entry.status().permissions() & (fs::perms::group_all | fs::perms::others_all),
              fs::perms::none)
        << entry.path();
  }
}

TEST_F(FileStoreTest, ErasedPayloadIsNotFoundAndItsBytesAreGone) {
  const auto store = Open();
  const std::string word = "unmistakable-personal-content";
  const auto small = *store->Put(word);
  const auto zeros = *store->Put(std::string(64, '\0'));
  const auto kept = *store->Put("kept");
  const auto large = *store->Put(std::string(2 << 20, 'x'));

  for (const Ref& ref : {small, zeros, large}) {
    ASSERT_TRUE(store->Erase(ref).ok());
    EXPECT_EQ(store->Get(ref).error().code, ErrorCode::kNotFound);
    EXPECT_TRUE(store->Erase(ref).ok());  // Gone already.
  }

  EXPECT_EQ(*store->Get(kept), "kept");
  for (const fs::path& segment : Segments())
    EXPECT_EQ(ReadFile(segment).find(word), std::string::npos);
  EXPECT_TRUE(store->Put(word).ok());
}

TEST_F(FileStoreTest, DamageIsDataLossAndAbsenceIsNotFound) {
  const auto store = Open();
  const auto small = *store->Put("some payload");
  const auto large = *store->Put(std::string(2 << 20, 'x'));
  {
    std::fstream segment(Segments().at(0), std::ios::in | std::ios::out | std::ios::binary);
    segment.seekp(static_cast<std::streamoff>(small.offset() + kRecordMark.size() + 3));
    segment.put('!');
  }
  const std::string hex = large.digest().Hex();
  fs::resize_file(folder_.path() / "payloads/objects" / hex.substr(0, 2) / hex, 1000);

  EXPECT_EQ(store->Get(small).error().code, ErrorCode::kDataLoss);
  EXPECT_EQ(store->Get(large).error().code, ErrorCode::kDataLoss);
  const auto to = folder_.path() / "copy";
  EXPECT_EQ(store->GetFile(large, to).error().code, ErrorCode::kDataLoss);
  EXPECT_FALSE(fs::exists(to));
  const auto never = Ref::InSegment("01234567-89ab-7def-8123-456789abcdef", 0, 5, Sha256("never"));
  EXPECT_EQ(store->Get(never).error().code, ErrorCode::kNotFound);
  const auto beyond = Ref::InSegment(small.segment(), 1ULL << 59, 1ULL << 59, Sha256("x"));
  EXPECT_EQ(store->Get(beyond).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(store->Get(Ref::Object(Sha256("never"))).error().code, ErrorCode::kNotFound);
}

TEST_F(FileStoreTest, FilesGoInAndOut) {
  Random random(3);
  const auto store = Open();
  const std::string content = AnyBytes(random, 5'000'000);
  std::ofstream(folder_.path() / "in", std::ios::binary) << content;

  const auto ref = store->PutFile(folder_.path() / "in");
  ASSERT_TRUE(ref.ok()) << ref.error().message;
  const auto copied = store->GetFile(*ref, folder_.path() / "out");

  EXPECT_EQ(ref->digest(), Sha256(content));
  ASSERT_TRUE(copied.ok()) << copied.error().message;
  EXPECT_EQ(ReadFile(folder_.path() / "out"), content);
  EXPECT_EQ(store->GetFile(*ref, folder_.path() / "out").error().code, ErrorCode::kAlreadyExists);
  EXPECT_EQ(store->PutFile(folder_.path() / "missing").error().code, ErrorCode::kNotFound);
  EXPECT_TRUE(fs::is_empty(folder_.path() / "payloads/tmp"));
}

TEST_F(FileStoreTest, SegmentsAreClosedAtTheirLimitAndTrimmed) {
  std::uintmax_t bytes = 0;
  std::vector<Ref> refs;
  {
    const auto store = Open({.segment_bytes = 10'000, .preallocated_bytes = 4096});
    for (int i = 0; i < 50; ++i)
      refs.push_back(*store->Put(std::string(1000, static_cast<char>('a' + i % 26))));
    for (const Ref& ref : refs) EXPECT_TRUE(store->Get(ref).ok());
  }

  EXPECT_GE(Segments().size(), 5u);
  for (const fs::path& segment : Segments()) bytes += fs::file_size(segment);
  EXPECT_EQ(bytes, 50 * (1000 + kRecordMark.size()));
}

TEST_F(FileStoreTest, ConcurrentCallersEachGetTheirOwn) {
  const auto store = Open({.small_bytes = 5000, .segment_bytes = 1 << 20});
  const auto other_process = Open();
  std::atomic<int> wrong = 0;
  {
    std::vector<std::jthread> threads;
    for (std::uint64_t t = 0; t < 8; ++t) {
      threads.emplace_back([&, t] {
        Random random(t + 1);
        for (int round = 0; round < 30; ++round) {
          std::vector<std::string> payloads;
          for (std::uint64_t i = 0; i <= random.Below(20); ++i) {
            payloads.push_back(AnyBytes(random, random.Below(6000)));
          }
          const std::vector<std::string_view> views(payloads.begin(), payloads.end());
          const auto refs = (t % 2 == 0 ? store : other_process)->PutMany(views);
          if (!refs || refs->size() != payloads.size()) {
            ++wrong;
            continue;
          }
          for (std::size_t i = 0; i < payloads.size(); ++i) {
            const auto got = store->Get((*refs)[i]);
            if (!got || *got != payloads[i]) ++wrong;
          }
        }
      });
    }
  }

  EXPECT_EQ(wrong, 0);
}

TEST_F(FileStoreTest, FullDiskAcknowledgesNothingAndHarmsNothing) {
  auto child = testing::Subprocess::Fork(
      [&]() -> int {
        std::signal(SIGXFSZ, SIG_IGN);
        const rlimit limit{100'000,
                           100'000};  // What a full disk looks like from here: writes stop short.
        if (setrlimit(RLIMIT_FSIZE, &limit) != 0) return 1;
        const auto store = Open();
        std::vector<Ref> refs;
        for (int i = 0; i < 9; ++i) {
          auto ref = store->Put(std::string(10'000, static_cast<char>('a' + i)));
          if (!ref) return 2;
          refs.push_back(*ref);
        }
        const auto too_much = store->Put(std::string(50'000, 'x'));
        if (too_much.ok() || too_much.error().code != ErrorCode::kResourceExhausted) return 3;
        const auto too_large = store->Put(std::string(2 << 20, 'x'));
        if (too_large.ok() || too_large.error().code != ErrorCode::kResourceExhausted) return 4;
        const auto still_fits = store->Put("small");
        if (!still_fits || *store->Get(*still_fits) != "small") return 5;
        for (int i = 0; i < 9; ++i) {
          const auto got = store->Get(refs[static_cast<std::size_t>(i)]);
          if (!got || *got != std::string(10'000, static_cast<char>('a' + i))) return 6;
        }
        return fs::is_empty(folder_.path() / "payloads/tmp") ? 0 : 7;
      },
      {});
  ASSERT_TRUE(child.ok());

  EXPECT_EQ(child->Wait(60s), 0);
}

TEST_F(FileStoreTest, EveryAcknowledgedPayloadSurvivesAKill) {
  const auto write_forever = [&]() -> int {
    const auto store = Open({.small_bytes = 20'000, .segment_bytes = 1 << 20});
    std::mutex output;
    std::vector<std::jthread> threads;
    for (std::uint64_t t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        Random random(static_cast<std::uint64_t>(getpid()) * 10 + t);
        for (;;) {
          std::vector<std::string> payloads;
          for (int i = 0; i < 5; ++i) payloads.push_back(AnyBytes(random, random.Below(22'000)));
          const auto refs =
              store->PutMany(std::vector<std::string_view>(payloads.begin(), payloads.end()));
          if (!refs) std::abort();
          const std::lock_guard lock(output);
          for (const Ref& ref : *refs) dprintf(STDOUT_FILENO, "%s\n", ref.text().c_str());
        }
      });
    }
    threads.clear();
    return 0;
  };

  std::size_t acknowledged = 0;
  for (int round = 0; round < 3; ++round) {
    auto child = testing::Subprocess::Fork(write_forever, {.pipe_stdout = true});
    ASSERT_TRUE(child.ok());
    std::vector<std::string> lines;
    while (lines.size() < 300) {
      const auto line = child->ReadLine(30s);
      ASSERT_TRUE(line.has_value());
      lines.push_back(*line);
    }
    child->Kill(SIGKILL);
    while (const auto line = child->ReadLine(5s)) lines.push_back(*line);

    const auto store = Open();
    for (const std::string& line : lines) {
      const auto ref = Ref::Parse(line);
      ASSERT_TRUE(ref.ok()) << line;
      const auto got = store->Get(*ref);
      ASSERT_TRUE(got.ok()) << got.error().message;
      ++acknowledged;
    }
  }

  EXPECT_GE(acknowledged, 900u);
}

}  // namespace
}  // namespace tidewheel::blob
