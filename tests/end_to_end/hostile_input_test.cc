#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <fstream>

#include "tidewheel/tests/platform/bar_pictures.h"
#include "tidewheel/tests/platform/wheel.h"
#include "tidewheel/vision/encode.h"

namespace tidewheel::tests {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr std::uint64_t kMemoryLimit = std::uint64_t{400} << 20;

void AppendNumber(std::uint32_t number, std::string& out) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(number >> shift));
}

void AppendChunk(const std::string& type, const std::string& content, std::string& out) {
  AppendNumber(static_cast<std::uint32_t>(content.size()), out);
  const std::string checked = type + content;
  out += checked;
  AppendNumber(static_cast<std::uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(checked.data()),
                                                static_cast<uInt>(checked.size()))),
               out);
}

/// A small file that would unpack to side x side pixels: all black, one bit a pixel.
std::string PngBomb(std::uint32_t side) {
  const std::string row((side + 7) / 8 + 1, '\0');
  std::string packed;
  z_stream stream{};
  EXPECT_EQ(deflateInit(&stream, 1), Z_OK);
  std::string buffer(1 << 16, '\0');
  const auto deflate_some = [&](int flush) {
    do {
      stream.next_out = reinterpret_cast<Bytef*>(buffer.data());
      stream.avail_out = static_cast<uInt>(buffer.size());
      deflate(&stream, flush);
      packed.append(buffer, 0, buffer.size() - stream.avail_out);
    } while (stream.avail_out == 0);
  };
  for (std::uint32_t y = 0; y < side; ++y) {
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(row.data()));
    stream.avail_in = static_cast<uInt>(row.size());
    deflate_some(Z_NO_FLUSH);
  }
  deflate_some(Z_FINISH);
  deflateEnd(&stream);

  std::string png = "\x89PNG\r\n\x1a\n";
  std::string header;
  AppendNumber(side, header);
  AppendNumber(side, header);
  header += std::string("\x01\x00\x00\x00\x00", 5);  // One bit, grey.
  AppendChunk("IHDR", header, png);
  AppendChunk("IDAT", packed, png);
  AppendChunk("IEND", "", png);
  return png;
}

/// One platform for all: what it is told here must not hurt it.
class HostileInputTest : public PlatformTest {
 protected:
  static void TearDownTestSuite() { shared_.reset(); }

  void SetUp() override {
    if (shared_) {
      platform_ = std::move(shared_);
    } else {
      PlatformTest::SetUp();
    }
    if (!platform_) return;
    wheel_ = std::make_unique<Wheel>(*platform_, "hostile");
    const auto applied = wheel_->Apply(BarTaskYaml("hostile"));
    ASSERT_TRUE(applied.ok()) << applied.error().message;
  }
  void TearDown() override {
    if (platform_) {
      EXPECT_LT(platform_->PeakMemory("ingestion"), kMemoryLimit);
      EXPECT_TRUE(platform_->Running("ingestion"));
    }
    PlatformTest::TearDown();
    shared_ = std::move(platform_);
  }

  ProgramEnd Tidewheel(std::vector<std::string> words) {
    std::vector<std::string> argv = {"tidewheel", "--platform", platform_->file().string()};
    argv.insert(argv.end(), words.begin(), words.end());
    return RunProgram(argv, std::chrono::seconds(120));
  }

  std::filesystem::path MakeFolder(const std::string& name) {
    const auto folder = platform_->folder() / name;
    std::filesystem::create_directories(folder);
    return folder;
  }

  std::unique_ptr<Wheel> wheel_;

 private:
  inline static std::unique_ptr<Platform> shared_;
};

TEST_F(HostileInputTest, PushingAFolderTwiceChangesNothingAndSaysSo) {
  ASSERT_NE(platform_, nullptr);
  const auto folder = MakeFolder("pictures");
  for (std::uint64_t i = 0; i < 300; ++i) {
    std::ofstream(folder / (std::to_string(i) + ".pgm"), std::ios::binary)
        << MakeBarPicture(i).payload;
  }
  const auto first = Tidewheel({"push", folder.string(), "--task", "hostile", "--json"});
  EXPECT_EQ(first.status, 0) << first.errors;
  EXPECT_THAT(first.output, HasSubstr("\"accepted\": 300"));
  const auto events = platform_->Ask("SELECT count(*) FROM ingestion.samples");

  const auto second = Tidewheel({"push", folder.string(), "--task", "hostile", "--json"});

  EXPECT_EQ(second.status, 0) << second.errors;
  EXPECT_THAT(second.output, AllOf(HasSubstr("\"accepted\": 0"), HasSubstr("\"unchanged\": 300")));
  EXPECT_THAT(Tidewheel({"push", folder.string(), "--task", "hostile"}).output,
              HasSubstr("nothing changed"));
  ASSERT_TRUE(events.ok());
  EXPECT_EQ(*platform_->Ask("SELECT count(*) FROM ingestion.samples"), *events);
}

TEST_F(HostileInputTest, AFileOf200MegabytesIsRefusedUnread) {
  ASSERT_NE(platform_, nullptr);
  const auto folder = MakeFolder("large");
  {
    std::ofstream file(folder / "large.jpg", std::ios::binary);
    file << "\xff\xd8\xff";
  }
  std::filesystem::resize_file(folder / "large.jpg", 200'000'000);
  const auto refused = Tidewheel({"push", folder.string(), "--task", "hostile", "--json"});
  EXPECT_EQ(refused.status, 3) << refused.output << refused.errors;
  EXPECT_THAT(refused.output, HasSubstr("limit"));

  // A client that does not care for limits meets those of the service.
  const auto pushed = wheel_->PushOne("large", std::string(200'000'000, 'x'));
  ASSERT_FALSE(pushed.ok());
  EXPECT_EQ(pushed.error().code, ErrorCode::kResourceExhausted) << pushed.error().message;
}

TEST_F(HostileInputTest, APictureOverTheTasksLimitIsSetAsideWithTheLimit) {
  ASSERT_NE(platform_, nullptr);
  const auto verdict = wheel_->PushOne("two-megabytes", std::string(2 << 20, 'x'));
  ASSERT_TRUE(verdict.ok()) << verdict.error().message;
  ASSERT_EQ(verdict->reasons_size(), 1);
  EXPECT_EQ(verdict->reasons(0).code(), ingestion::v1::REASON_CODE_TOO_LARGE);
}

TEST_F(HostileInputTest, APngBombIsSetAsideBeforeItUnpacks) {
  ASSERT_NE(platform_, nullptr);
  const std::string bomb = PngBomb(30'000);
  ASSERT_LT(bomb.size(), std::size_t{1} << 20);
  const std::uint64_t before = platform_->PeakMemory("ingestion");

  const auto verdict = wheel_->PushOne("bomb.png", bomb);

  ASSERT_TRUE(verdict.ok()) << verdict.error().message;
  EXPECT_EQ(verdict->disposition(), ingestion::v1::DISPOSITION_QUARANTINED);
  ASSERT_EQ(verdict->reasons_size(), 1);
  EXPECT_EQ(verdict->reasons(0).code(), ingestion::v1::REASON_CODE_TOO_LARGE);
  EXPECT_THAT(verdict->reasons(0).message(), HasSubstr("30000"));
  EXPECT_LT(platform_->PeakMemory("ingestion"), before + (std::uint64_t{64} << 20));
}

TEST_F(HostileInputTest, ATruncatedJpegIsUndecodable) {
  ASSERT_NE(platform_, nullptr);
  auto image = vision::Image::Filled(64, 64, 3, 120);
  for (std::size_t i = 0; i < image.pixels.size(); i += 7) image.pixels[i] = 240;
  const auto jpeg = vision::EncodeJpeg(image);
  ASSERT_TRUE(jpeg.ok());
  const auto verdict = wheel_->PushOne("cut.jpg", jpeg->substr(0, jpeg->size() / 2));
  ASSERT_TRUE(verdict.ok()) << verdict.error().message;
  EXPECT_EQ(verdict->disposition(), ingestion::v1::DISPOSITION_QUARANTINED);
  ASSERT_EQ(verdict->reasons_size(), 1);
  EXPECT_EQ(verdict->reasons(0).code(), ingestion::v1::REASON_CODE_UNDECODABLE);
  EXPECT_FALSE(verdict->reasons(0).message().empty());
}

TEST_F(HostileInputTest, AnUnknownTaskIsNamed) {
  ASSERT_NE(platform_, nullptr);
  Wheel other(*platform_, "no-such-task");
  const auto one = other.PushOne("a", MakeBarPicture(1).payload);
  ASSERT_FALSE(one.ok());
  EXPECT_EQ(one.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(one.error().message, HasSubstr("no-such-task"));
  const auto streamed = other.PushBars(0, 10);
  ASSERT_FALSE(streamed.ok());
  EXPECT_EQ(streamed.error().code, ErrorCode::kNotFound);
  const auto built = other.BuildDataset();
  ASSERT_FALSE(built.ok());
  EXPECT_EQ(built.error().code, ErrorCode::kNotFound);
}

TEST_F(HostileInputTest, AVoteForAClassThatTheTaskDoesNotHaveIsRejectedWithItsClasses) {
  ASSERT_NE(platform_, nullptr);
  ASSERT_TRUE(wheel_->PushBars(9'000, 9'002).ok());
  labeling::v1::SubmitVotesRequest request;
  request.set_task("hostile");
  for (const char* class_name : {"purple", "lying"}) {
    auto& vote = *request.add_votes();
    vote.set_sample_name(MakeBarPicture(9'000).name);
    vote.set_class_name(class_name);
    vote.set_annotator("someone");
    vote.set_annotator_kind(labeling::v1::ANNOTATOR_KIND_PERSON);
  }
  const auto submitted =
      wheel_->client().Call(&labeling::v1::LabelingService::Stub::SubmitVotes, request);
  ASSERT_TRUE(submitted.ok()) << submitted.error().message;
  EXPECT_EQ(submitted->accepted(), 1U);
  ASSERT_EQ(submitted->rejected_size(), 1);
  EXPECT_EQ(submitted->rejected(0).index(), 0U);
  EXPECT_THAT(submitted->rejected(0).reason(), AllOf(HasSubstr("purple"), HasSubstr("slanting")));
}

TEST_F(HostileInputTest, AnInvalidTaskFileIsRefusedWithEveryProblemAndItsLine) {
  ASSERT_NE(platform_, nullptr);
  const auto file = platform_->folder() / "bad.yaml";
  std::ofstream(file) << "task: Bad Name\nclasses: [one]\nsplits:\n  test_share: 7\nnonsense: 1\n";
  const auto applied = Tidewheel({"apply", file.string()});
  EXPECT_EQ(applied.status, 1);
  for (const char* part : {":1", "Bad Name", ":2", "classes", ":4", "test_share", "nonsense"}) {
    EXPECT_THAT(applied.errors, HasSubstr(part));
  }
  const auto broken = wheel_->Apply("task: [");
  ASSERT_FALSE(broken.ok());
  EXPECT_EQ(broken.error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace tidewheel::tests
