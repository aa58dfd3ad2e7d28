#include "tidewheel/ml/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <iterator>

namespace tidewheel::ml {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class DatasetFileTest : public ::testing::Test {
 protected:
  DatasetFileTest()
      : path_(std::filesystem::path(::testing::TempDir()) /
              ("dataset_" +
               std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()))) {}
  ~DatasetFileTest() override { std::filesystem::remove(path_); }

  /// Three rows of 1 x 1 x 3 in eighths or in bytes.
  void Write(ElementType type) {
    auto writer = DatasetFileWriter::Create(path_, {1, 1, 3}, type).value();
    for (int row = 0; row < 3; ++row) {
      std::vector<float> elements;
      for (int i = 0; i < 3; ++i) elements.push_back(static_cast<float>(row * 3 + i) / 255.0f);
      ASSERT_TRUE(writer.Append(elements, row, 0.5f * static_cast<float>(row)).ok());
    }
    ASSERT_TRUE(writer.Finish().ok());
  }

  std::string Bytes() const {
    std::ifstream file(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void Replace(const std::string& bytes) const { std::ofstream(path_, std::ios::binary) << bytes; }

  const std::filesystem::path path_;
};

TEST_F(DatasetFileTest, BothKindsOfElementsAreReadAsTheSameFloats) {
  for (const ElementType type : {ElementType::kFloat32, ElementType::kUint8}) {
    Write(type);
    const auto file = DatasetFile::Open(path_);
    ASSERT_TRUE(file.ok()) << file.error().message;
    const TensorDataset view = file->View();

    EXPECT_EQ(view.shape, (ImageShape{1, 1, 3}));
    EXPECT_THAT(view.labels, ElementsAre(0, 1, 2));
    EXPECT_THAT(view.weights, ElementsAre(0.0f, 0.5f, 1.0f));
    EXPECT_TRUE(CheckDataset(view, 3).ok());
    std::vector<float> rows(6);
    view.CopyRows(std::vector<std::uint32_t>{2, 0}, rows.data());
    EXPECT_THAT(rows,
                ElementsAre(6 / 255.0f, 7 / 255.0f, 8 / 255.0f, 0.0f, 1 / 255.0f, 2 / 255.0f));
  }
}

TEST_F(DatasetFileTest, EveryByteIsKeptExactlyAndNothingElseIs) {
  auto writer = DatasetFileWriter::Create(path_, {1, 1, 256}, ElementType::kUint8).value();
  std::vector<float> all;
  for (int byte = 0; byte < 256; ++byte) all.push_back(static_cast<float>(byte) / 255.0f);
  ASSERT_TRUE(writer.Append(all, 0).ok());
  for (const float wrong :
       {0.5f, -1 / 255.0f, 256 / 255.0f, std::nextafter(all[7], 1.0f), std::nanf("")}) {
    auto row = all;
    row[9] = wrong;
    const auto appended = writer.Append(row, 0);
    ASSERT_FALSE(appended.ok()) << wrong;
    EXPECT_THAT(appended.error().message, HasSubstr("element 9"));
  }
  ASSERT_TRUE(writer.Finish().ok());

  const auto file = DatasetFile::Open(path_).value();
  std::vector<float> read(256);
  file.View().CopyRows(std::vector<std::uint32_t>{0}, read.data());
  EXPECT_EQ(read, all);
  EXPECT_EQ(file.View().rows(), 1u);
}

TEST_F(DatasetFileTest, WrongRowsAreRefused) {
  auto writer = DatasetFileWriter::Create(path_, {1, 2, 2}, ElementType::kFloat32).value();

  EXPECT_FALSE(writer.Append(std::vector<float>{1, 2, 3}, 0).ok());
  EXPECT_FALSE(writer.Append(std::vector<float>{1, 2, 3, INFINITY}, 0).ok());
  EXPECT_FALSE(writer.Append(std::vector<float>{1, 2, 3, 4}, -1).ok());
  EXPECT_FALSE(writer.Append(std::vector<float>{1, 2, 3, 4}, 0, -0.1f).ok());
  EXPECT_EQ(writer.rows(), 0u);
}

TEST_F(DatasetFileTest, AnUnfinishedFileIsNoDataset) {
  {
    auto writer = DatasetFileWriter::Create(path_, {1, 1, 1}, ElementType::kFloat32).value();
    ASSERT_TRUE(writer.Append(std::vector<float>{1}, 0).ok());
  }

  EXPECT_EQ(DatasetFile::Open(path_).error().code, ErrorCode::kInvalidArgument);
}

TEST_F(DatasetFileTest, FilesOfAWrongSizeAreRefused) {
  EXPECT_EQ(DatasetFile::Open(path_).error().code, ErrorCode::kNotFound);
  Write(ElementType::kUint8);
  const std::string good = Bytes();
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{10}, std::size_t{64}, good.size() - 1}) {
    Replace(good.substr(0, size));
    EXPECT_FALSE(DatasetFile::Open(path_).ok()) << size;
  }
  Replace(good + "x");
  EXPECT_FALSE(DatasetFile::Open(path_).ok());
  for (std::size_t at = 0; at < 32; ++at) {
    std::string hostile = good;
    hostile[at] = '\x7f';
    Replace(hostile);
    EXPECT_FALSE(DatasetFile::Open(path_).ok()) << at;
  }
}

TEST(DatasetTest, SizesAndLabelsAreChecked) {
  const std::vector<float> elements(8);
  const std::vector<std::int32_t> labels = {0, 1};
  const std::vector<float> weights = {1, 2};
  const ImageShape shape{1, 2, 2};

  EXPECT_TRUE(CheckDataset(ViewOf(shape, elements, labels, weights), 2).ok());
  EXPECT_FALSE(CheckDataset(ViewOf(shape, elements, labels, weights), 1).ok());
  EXPECT_FALSE(CheckDataset(ViewOf({1, 2, 3}, elements, labels), 2).ok());
  EXPECT_FALSE(CheckDataset(ViewOf(shape, elements, labels, std::vector<float>{1}), 2).ok());
  EXPECT_FALSE(CheckDataset(ViewOf(shape, elements, labels, std::vector<float>{1, -1}), 2).ok());
}

}  // namespace
}  // namespace tidewheel::ml
