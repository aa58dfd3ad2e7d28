#include "tidewheel/ml/package/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tidewheel/ml/package/file.h"

namespace tidewheel::ml {
namespace {

using ::testing::HasSubstr;

PackageManifest Lights() {
  return {.task = "traffic-lights",
          .recipe = "image-cnn",
          .input = {.name = "input", .datatype = "FP32", .shape = {-1, 3, 32, 32}},
          .output = {.name = "probabilities", .datatype = "FP32", .shape = {-1, 3}},
          .classes = {"red", "yes", "2"},
          .preprocessing = {{"height", "32"}, {"note", "a: \"b\"\n# c"}, {"width", "32"}},
          .calibration = {.method = Calibration::Method::kTemperature, .temperature = 1.0 / 3},
          .run_id = "018f3b5e-0000-7000-8000-000000000000",
          .dataset_digest = std::string(64, 'a'),
          .code_version = "0123456",
          .seed = 18'446'744'073'709'551'615u};
}

std::string Edited(std::string_view from, std::string_view to) {
  std::string yaml = PrintPackageManifest(Lights());
  const auto at = yaml.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return yaml.replace(at, from.size(), to);
}

TEST(PackageManifestTest, WhatIsPrintedIsParsed) {
  auto manifest = Lights();
  EXPECT_EQ(ParsePackageManifest(PrintPackageManifest(manifest)).value(), manifest);

  manifest.calibration = {};
  manifest.preprocessing.clear();
  manifest.dataset_digest.clear();
  EXPECT_EQ(ParsePackageManifest(PrintPackageManifest(manifest)).value(), manifest);
}

TEST(PackageManifestTest, AllProblemsAreNamedAtOnce) {
  std::string yaml = Edited("FP32", "FP16");
  yaml += "colour: blue\n";
  yaml.replace(yaml.find("seed: 18446744073709551615"), 26, "seed: many");

  const auto parsed = ParsePackageManifest(yaml);

  ASSERT_FALSE(parsed.ok());
  EXPECT_EQ(parsed.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(parsed.error().message, HasSubstr("unknown key colour"));
  EXPECT_THAT(parsed.error().message, HasSubstr("seed has a wrong type"));
  EXPECT_THAT(parsed.error().message, HasSubstr("datatype must be FP32"));
}

TEST(PackageManifestTest, ClassesMustFitTheOutput) {
  EXPECT_THAT(ParsePackageManifest(Edited("[-1, 3]", "[-1, 4]")).error().message,
              HasSubstr("with 3 classes"));
  EXPECT_THAT(ParsePackageManifest(Edited("\"yes\"", "\"red\"")).error().message,
              HasSubstr("twice"));
}

TEST(PackageManifestTest, WrongValuesAreRefused) {
  for (const auto& yaml :
       {Edited("format_version: 1", "format_version: 2"),
        Edited("temperature: 0.3", "temperature: -0.3"),
        Edited("method: temperature", "method: guess"), Edited("[-1, 3, 32, 32]", "[8, 3, 32, 32]"),
        Edited("[-1, 3, 32, 32]", "[-1, 3, 0, 32]"), Edited("aaaa", "AAZZ"),
        Edited("task:", "tusk:"), std::string("- a list"), std::string(": : :"), std::string(),
        std::string("{"), std::string(2 << 20, ' ')}) {
    const auto parsed = ParsePackageManifest(yaml);
    ASSERT_FALSE(parsed.ok()) << yaml;
    EXPECT_EQ(parsed.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(parsed.error().message, HasSubstr("model.yaml"));
  }
}

TEST(PackageManifestTest, VariantsComeBackAndOldPackagesHaveNone) {
  auto manifest = Lights();
  EXPECT_EQ(PrintPackageManifest(manifest).find("variants"), std::string::npos);
  manifest.variants = {{.name = "int8",
                        .file = "model.int8.onnx",
                        .offered = true,
                        .reason = "worse by less than 0.01: \"yes\"",
                        .calibration = "least error of 512 rows",
                        .samples = 9'000,
                        .difference = -1.0 / 3'000,
                        .low = -0.004,
                        .high = 0.002,
                        .changed = 0.01,
                        .largest_difference = 0.02},
                       {.name = "bf16", .reason = "the processor has none"}};

  EXPECT_EQ(ParsePackageManifest(PrintPackageManifest(manifest)).value(), manifest);
  ASSERT_NE(OfferedVariant(manifest, "int8"), nullptr);
  EXPECT_EQ(OfferedVariant(manifest, "int8")->samples, 9'000u);
  EXPECT_EQ(OfferedVariant(manifest, "bf16"), nullptr);
  EXPECT_EQ(OfferedVariant(manifest, "f32"), nullptr);

  manifest.variants[0].file = "../model.onnx";
  EXPECT_THAT(ParsePackageManifest(PrintPackageManifest(manifest)).error().message,
              HasSubstr("file must be"));
  manifest.variants[0] = manifest.variants[1];
  EXPECT_THAT(ParsePackageManifest(PrintPackageManifest(manifest)).error().message,
              HasSubstr("twice"));
}

TEST(PackageManifestTest, AFolderWithoutOneIsNotFound) {
  const auto folder = std::filesystem::path(::testing::TempDir()) / "manifest_test";
  std::filesystem::create_directories(folder);
  std::filesystem::remove(folder / kManifestFile);

  EXPECT_EQ(ReadPackageManifest(folder).error().code, ErrorCode::kNotFound);

  ASSERT_TRUE(WritePackageFile(folder / kManifestFile, PrintPackageManifest(Lights())).ok());
  EXPECT_EQ(ReadPackageManifest(folder).value(), Lights());
  std::filesystem::remove_all(folder);
}

TEST(PackageFileTest, TooLargeAFileIsRefusedBeforeItIsRead) {
  const auto path = std::filesystem::path(::testing::TempDir()) / "package_file_test";
  ASSERT_TRUE(WritePackageFile(path, "12345").ok());

  EXPECT_EQ(ReadPackageFile(path, 5).value(), "12345");
  EXPECT_EQ(ReadPackageFile(path, 4).error().code, ErrorCode::kResourceExhausted);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace tidewheel::ml
