#include "tidewheel/cli/readers/npy_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

namespace tidewheel::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// A header as NumPy writes it: magic, version, length, text, blanks up to a multiple of 64.
std::string Header(const std::string& text, unsigned major = 1) {
  const std::size_t before = major == 1 ? 10 : 12;
  std::string padded = text;
  while ((before + padded.size() + 1) % 64 != 0) padded += ' ';
  padded += '\n';
  std::string header = "\x93NUMPY";
  header += static_cast<char>(major);
  header += '\0';
  for (std::size_t i = 0; i < before - 8; ++i) {
    header += static_cast<char>(padded.size() >> (8 * i) & 0xff);
  }
  return header + padded;
}

std::string Fields(const std::string& type, const std::string& shape,
                   const std::string& fortran = "False") {
  return "{'descr': '" + type + "', 'fortran_order': " + fortran + ", 'shape': " + shape + ", }";
}

template <typename T>
std::string Bytes(const std::vector<T>& values, bool swapped = false) {
  std::string bytes;
  for (const T value : values) {
    char raw[sizeof(T)];
    std::memcpy(raw, &value, sizeof value);
    if (swapped) std::reverse(raw, raw + sizeof value);
    bytes.append(raw, sizeof raw);
  }
  return bytes;
}

std::span<const std::byte> View(const std::string& bytes) {
  return std::as_bytes(std::span(bytes));
}

Result<NpyFile> Of(const std::string& bytes) { return NpyFile::Of(View(bytes), "x.npy"); }

template <typename T>
std::vector<T> Values(const Result<NpyNumbers<T>>& numbers) {
  if (!numbers) {
    ADD_FAILURE() << numbers.error().message;
    return {};
  }
  return {numbers->values.begin(), numbers->values.end()};
}

class NpyFileTest : public ::testing::Test {
 protected:
  NpyFileTest() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "tidewheel-npy-XXXXXX").string();
    folder_ = std::filesystem::canonical(::mkdtemp(pattern.data()));
  }
  ~NpyFileTest() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path Write(const std::string& bytes) {
    const auto path = folder_ / "x.npy";
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }

  std::filesystem::path folder_;
};

TEST_F(NpyFileTest, AFileInItsOwnLayoutIsNotCopied) {
  const auto doubles =
      NpyFile::Open(Write(Header(Fields("<f8", "(2, 3)")) + Bytes<double>({1, 2, 3, 4, 5, 6.5})));
  ASSERT_TRUE(doubles.ok()) << doubles.error().message;
  const auto read = doubles->Doubles();
  EXPECT_THAT(Values(read), ElementsAre(1, 2, 3, 4, 5, 6.5));
  EXPECT_FALSE(read->copied);
  EXPECT_EQ(read->Matrix().rows, 2u);
  EXPECT_EQ(read->Matrix().columns, 3u);

  const std::string floats = Header(Fields("<f4", "(2,)")) + Bytes<float>({0.5F, -1});
  EXPECT_FALSE(Of(floats)->Floats()->copied);
  EXPECT_TRUE(Of(floats)->Doubles()->copied);
  const std::string integers = Header(Fields("<i4", "(2,)")) + Bytes<std::int32_t>({7, -1});
  EXPECT_FALSE(Of(integers)->Integers()->copied);
  EXPECT_EQ(Of(integers)->Integers()->Matrix().columns, 1u);
}

TEST_F(NpyFileTest, NumbersOutliveTheFileTheyCameFrom) {
  Result<NpyNumbers<double>> read = Error{};
  {
    const auto path = Write(Header(Fields("<f8", "(3,)")) + Bytes<double>({1, 2, 3}));
    read = NpyFile::Open(path)->Doubles();
    std::filesystem::remove(path);
  }
  EXPECT_THAT(Values(read), ElementsAre(1, 2, 3));
}

template <typename T>
class NpyTypesTest : public ::testing::Test {
 public:
  static std::string Code() {
    const std::string kind = std::is_floating_point_v<T> ? "f" : std::is_signed_v<T> ? "i" : "u";
    return kind + std::to_string(sizeof(T));
  }
};
using Types = ::testing::Types<std::int8_t, std::int16_t, std::int32_t, std::int64_t, std::uint8_t,
                               std::uint16_t, std::uint32_t, std::uint64_t, float, double>;
TYPED_TEST_SUITE(NpyTypesTest, Types);

TYPED_TEST(NpyTypesTest, EveryTypeIsReadInBothByteOrders) {
  const std::vector<TypeParam> values = {0, 1, 100, static_cast<TypeParam>(-1)};
  for (const char order : {'<', '>'}) {
    const std::string bytes =
        Header(Fields(order + this->Code(), "(4,)")) + Bytes(values, order == '>');
    const auto file = Of(bytes);
    ASSERT_TRUE(file.ok()) << file.error().message;
    if constexpr (sizeof(TypeParam) == 8 && std::is_unsigned_v<TypeParam>) {
      EXPECT_THAT(
          file->Doubles().error().message,
          HasSubstr("x.npy: value 3 (row by row) is 18446744073709551615, which no float64 is"));
    } else {
      EXPECT_EQ(Values(file->Doubles()), std::vector<double>(values.begin(), values.end()));
    }
    const auto integers = file->Integers();
    if (std::is_unsigned_v<TypeParam> && sizeof(TypeParam) >= 4) {
      EXPECT_THAT(integers.error().message, HasSubstr("which no int32 is"));
    } else {
      EXPECT_THAT(Values(integers), ElementsAre(0, 1, 100, static_cast<std::int32_t>(values[3])));
    }
    const auto floats = file->Floats();
    const bool fits = sizeof(TypeParam) <= 2 || std::is_same_v<TypeParam, float>;
    EXPECT_EQ(floats.ok(), fits);
  }
}

TEST(NpyValuesTest, HalfPrecisionIsReadExactly) {
  const std::vector<std::uint16_t> bits = {0x0000, 0x3c00, 0xc000, 0x0001, 0x03ff,
                                           0x0400, 0x7bff, 0x7c00, 0x8000};
  const std::string file = Header(Fields("<f2", "(9,)")) + Bytes(bits);
  const auto read = Of(file)->Floats();
  EXPECT_THAT(Values(read), ElementsAre(0.0F, 1.0F, -2.0F, std::ldexp(1.0F, -24),
                                        std::ldexp(1023.0F, -24), std::ldexp(1.0F, -14), 65504.0F,
                                        std::numeric_limits<float>::infinity(), 0.0F));
  EXPECT_TRUE(std::signbit(read->values[8]));
  const std::string nan = Header(Fields(">f2", "()")) + Bytes<std::uint16_t>({0x7e00}, true);
  EXPECT_TRUE(std::isnan(Of(nan)->Doubles()->values[0]));
}

TEST(NpyValuesTest, BooleansAreZeroAndOne) {
  const std::string file = Header(Fields("|b1", "(3,)")) + std::string("\0\1\2", 3);
  EXPECT_THAT(Values(Of(file)->Integers()), ElementsAre(0, 1, 1));
  EXPECT_THAT(Values(Of(file)->Floats()), ElementsAre(0, 1, 1));
}

TEST(NpyValuesTest, WhatHasNoExactValueIsNamed) {
  const std::string large =
      Header(Fields("<i8", "(2,)")) +
      Bytes<std::int64_t>({std::int64_t{1} << 60, (std::int64_t{1} << 53) + 1});
  EXPECT_THAT(Of(large)->Doubles().error().message,
              HasSubstr("value 1 (row by row) is 9007199254740993"));
  const std::string smallest = Header(Fields("<i8", "(1,)")) +
                               Bytes<std::int64_t>({std::numeric_limits<std::int64_t>::min()});
  EXPECT_THAT(Values(Of(smallest)->Doubles()), ElementsAre(-9223372036854775808.0));

  const std::string whole = Header(Fields("<f8", "(3,)")) + Bytes<double>({2, -7, 1e9});
  EXPECT_THAT(Values(Of(whole)->Integers()), ElementsAre(2, -7, 1'000'000'000));
  for (const double value : {0.5, std::nan(""), 3e9, std::numeric_limits<double>::infinity()}) {
    const std::string broken = Header(Fields("<f8", "(2,)")) + Bytes<double>({1, value});
    EXPECT_THAT(Of(broken)->Integers().error().message, HasSubstr("value 1 (row by row)")) << value;
  }
}

TEST(NpyOrderTest, FortranOrderIsTurnedIntoRows) {
  // Element (r, c) is 10 r + c; columns lie one after the other.
  std::vector<double> columns;
  for (int c = 0; c < 70; ++c) {
    for (int r = 0; r < 45; ++r) columns.push_back(10 * r + 1000 * c);
  }
  const std::string file = Header(Fields("<f8", "(45, 70)", "True")) + Bytes(columns);
  const auto read = Of(file)->Doubles();
  ASSERT_TRUE(read.ok());
  EXPECT_TRUE(read->copied);
  const auto matrix = read->Matrix();
  ASSERT_TRUE(matrix.Fits());
  for (std::size_t r = 0; r < 45; ++r) {
    for (std::size_t c = 0; c < 70; ++c) {
      ASSERT_EQ(matrix.Row(r)[c], 10.0 * static_cast<double>(r) + 1000.0 * static_cast<double>(c));
    }
  }
}

TEST(NpyOrderTest, AnyNumberOfDimensionsIsTurned) {
  // 2 x 3 x 4: value = position in C order, laid out with the first index fastest.
  std::vector<std::int16_t> laid;
  for (int k = 0; k < 4; ++k) {
    for (int j = 0; j < 3; ++j) {
      for (int i = 0; i < 2; ++i) laid.push_back(static_cast<std::int16_t>(12 * i + 4 * j + k));
    }
  }
  const std::string file = Header(Fields(">i2", "(2, 3, 4)", "True")) + Bytes(laid, true);
  std::vector<std::int32_t> expected(24);
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(Values(Of(file)->Integers()), expected);
}

TEST(NpyOrderTest, OneLongDimensionHasNoOrder) {
  const std::string file = Header(Fields("<f8", "(1, 3, 1)", "True")) + Bytes<double>({1, 2, 3});
  EXPECT_FALSE(Of(file)->Doubles()->copied);
}

TEST(NpyHeaderTest, AllVersionsAndSpellingsOfNumPyAreRead) {
  for (const unsigned version : {1u, 2u, 3u}) {
    const std::string file = Header(Fields("<f8", "()"), version) + Bytes<double>({4});
    const auto read = Of(file);
    ASSERT_TRUE(read.ok()) << read.error().message;
    EXPECT_EQ(read->header().count, 1u);
    EXPECT_TRUE(read->header().shape.empty());
  }
  for (const char* text : {
           "{'shape': (1L,), 'descr': \"<f8\", 'fortran_order': False}",
           "{ 'descr' : '<f8' , 'fortran_order' : True , 'shape' : ( 1 , 1 , ) , }",
           "{'descr':'=f8','fortran_order':False,'shape':(1,1)}",
       }) {
    const std::string file = Header(text) + Bytes<double>({4});
    EXPECT_TRUE(Of(file).ok()) << text;
  }
  const std::string empty = Header(Fields("<f8", "(0, 18446744073709551615)"));
  EXPECT_EQ(Of(empty)->Doubles()->values.size(), 0u);
}

TEST(NpyHeaderTest, BrokenHeadersNameTheField) {
  const std::vector<std::pair<std::string, std::string>> broken = {
      {"", "no dictionary"},
      {"['descr']", "no dictionary"},
      {"{'descr': '<f8', 'fortran_order': False, 'shape': (1,)", "no comma behind \"shape\""},
      {"{'descr': '<f8', 'fortran_order': False, 'shape': (1,), } x", "text behind"},
      {"{'descr': '<f8', 'descr': '<f8', 'fortran_order': False, 'shape': (1,)}",
       "two fields \"descr\""},
      {"{'fortran_order': False, 'shape': (1,)}", "no field \"descr\""},
      {"{'descr': '<f8', 'shape': (1,)}", "no field \"fortran_order\""},
      {"{'descr': '<f8', 'fortran_order': False}", "no field \"shape\""},
      {"{'descr': '<f8', 'fortran_order': False, 'shape': (1,), 'owner': 1}", "a field \"owner\""},
      {"{'descr': '<f8', 'fortran_order': 0, 'shape': (1,)}", "neither True nor False"},
      {"{'descr': '<f8', 'fortran_order': False, 'shape': (1)}", "no comma behind dimension 0"},
      {"{'descr': '<f8', 'fortran_order': False, 'shape': (1 1)}", "no comma behind dimension 0"},
      {"{'descr': '<f8', 'fortran_order': False, 'shape': 1}", "shape: no tuple"},
      {"{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}",
       "dimension 0 is no whole number"},
      {"{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999999999,)}",
       "dimension 0 is no whole number"},
      {"{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 4294967296)}",
       "more than a file can hold"},
      {Fields("<f8", "(" + std::string(99, '1') + ")"), "no whole number"},
      {"{'descr': '|f8', 'fortran_order': False, 'shape': (1,)}", "no byte order"},
      {"{'descr': 'f8', 'fortran_order': False, 'shape': (1,)}", "no byte order"},
      {"{'descr': 8, 'fortran_order': False, 'shape': (1,)}", "descr: no text"},
  };
  for (const auto& [text, words] : broken) {
    const std::string file = Header(text) + Bytes<double>({4});
    const auto read = Of(file);
    ASSERT_FALSE(read.ok()) << text;
    EXPECT_EQ(read.error().code, ErrorCode::kInvalidArgument) << text;
    EXPECT_THAT(read.error().message, HasSubstr("x.npy: header: ")) << text;
    EXPECT_THAT(read.error().message, HasSubstr(words)) << text;
  }
  std::string many = "(";
  for (int i = 0; i < 33; ++i) many += "1, ";
  const std::string file = Header(Fields("<f8", many + ")")) + Bytes<double>({4});
  EXPECT_THAT(Of(file).error().message, HasSubstr("more than 32 dimensions"));
}

TEST(NpyHeaderTest, WhatIsNotReadIsNamed) {
  for (const char* type : {"|O", "<U10", "<c16", "<f16", "<M8[ns]", "|V8", "<i3", ""}) {
    const std::string file = Header(Fields(type, "(1,)")) + Bytes<double>({4});
    const auto read = Of(file);
    ASSERT_FALSE(read.ok()) << type;
    EXPECT_EQ(read.error().code, ErrorCode::kUnimplemented) << type;
    EXPECT_THAT(read.error().message, HasSubstr("type \"" + std::string(type) + "\" is not read"));
  }
  const std::string structure =
      Header("{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1,)}");
  EXPECT_EQ(Of(structure).error().code, ErrorCode::kUnimplemented);
  std::string version = Header(Fields("<f8", "()")) + Bytes<double>({4});
  version[6] = 4;
  EXPECT_THAT(Of(version).error().message, HasSubstr("version 4.0 is not read"));
}

TEST(NpyHeaderTest, CutFilesAndFilesWithMoreAreErrors) {
  const std::string whole = Header(Fields("<f8", "(2,)")) + Bytes<double>({1, 2});
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const std::string cut = whole.substr(0, size);
    EXPECT_FALSE(Of(cut).ok()) << size;
  }
  EXPECT_EQ(Of(whole.substr(0, 20)).error().code, ErrorCode::kDataLoss);
  const auto less = Of(whole.substr(0, whole.size() - 1));
  EXPECT_EQ(less.error().message,
            "x.npy: shape (2,) of float64 takes 16 bytes, the file has 15 behind its header");
  EXPECT_EQ(Of(whole + "x").error().code, ErrorCode::kDataLoss);
  std::string long_header = Header(Fields("<f8", "(2,)"), 2);
  long_header[10] = 2;  // 128 KiB and more.
  EXPECT_THAT(Of(long_header).error().message, HasSubstr("over the limit of 64.0 KiB"));
}

TEST(NpyLimitsTest, ACopyBeyondTheLimitIsRefused) {
  const std::string file = Header(Fields(">f8", "(3,)")) + Bytes<double>({1, 2, 3}, true);
  const auto refused = NpyFile::Of(View(file), "x.npy", {.copied_bytes = 23})->Doubles();
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kResourceExhausted);
  EXPECT_THAT(Values(NpyFile::Of(View(file), "x.npy", {.copied_bytes = 24})->Doubles()),
              ElementsAre(1, 2, 3));
}

TEST_F(NpyFileTest, WhatIsNoFileIsAnError) {
  EXPECT_EQ(NpyFile::Open(folder_ / "missing.npy").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(NpyFile::Open(folder_).error().code, ErrorCode::kInvalidArgument);
  const auto pipe = folder_ / "pipe.npy";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(NpyFile::Open(pipe).error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(NpyFile::Open(Write("")).error().message, HasSubstr("x.npy: empty"));
  EXPECT_THAT(NpyFile::Open(Write("a,b\n1,2\n")).error().message, HasSubstr("no .npy file"));
}

}  // namespace
}  // namespace tidewheel::cli
