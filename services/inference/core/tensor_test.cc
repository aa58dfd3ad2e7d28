#include "tidewheel/inference/core/tensor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidewheel::inference {
namespace {

using testing::HasSubstr;

std::string Element(const std::string& bytes) {
  const auto length = static_cast<std::uint32_t>(bytes.size());
  return std::string(reinterpret_cast<const char*>(&length), sizeof length) + bytes;
}

TEST(TensorTest, EveryDatatypeIsReadByItsName) {
  for (int i = 0; i <= static_cast<int>(DataType::kBytes); ++i) {
    const auto type = static_cast<DataType>(i);
    const auto read = ParseDataType(Name(type));
    ASSERT_TRUE(read.ok());
    EXPECT_EQ(*read, type);
    EXPECT_EQ(ElementSize(type) == 0, type == DataType::kBytes);
  }
  EXPECT_THAT(ParseDataType("FLOAT").error().message, HasSubstr("FP32"));
}

TEST(TensorTest, BytesMustBeThoseOfShapeAndType) {
  EXPECT_TRUE(Tensor::Of("x", DataType::kFp32, {2, 3}, std::string(24, '\0')).Check().ok());
  EXPECT_TRUE(Tensor::Of("x", DataType::kFp32, {}, std::string(4, '\0')).Check().ok());
  EXPECT_TRUE(Tensor::Of("x", DataType::kFp32, {0, 3}, "").Check().ok());
  const auto wrong = Tensor::Of("x", DataType::kFp16, {2, 3}, std::string(24, '\0')).Check();
  ASSERT_FALSE(wrong.ok());
  EXPECT_THAT(wrong.error().message, HasSubstr("\"x\" has 24 bytes"));
  EXPECT_THAT(wrong.error().message, HasSubstr("FP16 ask for 12"));
}

TEST(TensorTest, ElementsOfBytesAreCountedOneByOne) {
  const std::string three = Element("a") + Element("") + Element("xyz");
  EXPECT_TRUE(Tensor::Of("s", DataType::kBytes, {3}, three).Check().ok());
  EXPECT_THAT(Tensor::Of("s", DataType::kBytes, {4}, three).Check().error().message,
              HasSubstr("before element 3"));
  EXPECT_THAT(Tensor::Of("s", DataType::kBytes, {2}, three).Check().error().message,
              HasSubstr("7 bytes after its 2 elements"));
  EXPECT_THAT(Tensor::Of("s", DataType::kBytes, {3}, three.substr(0, three.size() - 1))
                  .Check()
                  .error()
                  .message,
              HasSubstr("element 2 says 3 bytes, 2 are left"));
}

TEST(TensorTest, ShapesThatCannotBeAreRefused) {
  EXPECT_FALSE(ElementCount({-1, 2}).ok());
  EXPECT_FALSE(ElementCount({1 << 30, 1 << 30}).ok());
  EXPECT_FALSE(ElementCount({std::int64_t{1} << 62, std::int64_t{1} << 62, 0}).ok());
  EXPECT_EQ(*ElementCount({7, 0, 9}), 0U);
}

TEST(TensorTest, AnOwnerKeepsTheBytes) {
  Tensor copy;
  {
    const Tensor made = Tensor::Of("x", DataType::kUint8, {40}, std::string(40, 'y'));
    copy = made;
  }
  EXPECT_EQ(copy.data, std::string(40, 'y'));
}

}  // namespace
}  // namespace tidewheel::inference
