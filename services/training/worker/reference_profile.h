#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/training/v1/profile.pb.h"

namespace tidewheel::training {

/// Rows of one split as a profile takes them: numbers, whatever they were measured on.
struct ProfiledRows {
  std::string split;
  std::vector<std::int32_t> given;
  std::vector<double> features;      // Rows x features; NaN where one is missing.
  std::vector<float> probabilities;  // Rows x classes.
  std::vector<float> embedding;      // Rows x numbers; empty where the model has none.
};

/// What a profile is made of.
struct ProfileSource {
  std::vector<std::string> classes;
  std::vector<std::string> features;          // Their names.
  std::span<const double> training_features;  // Rows x features of the whole training split.
  std::vector<ProfiledRows> held_out;         // Validation, then test.
  ProfiledRows training_sample;               // Of the rows of SampleTrainingRows.
  std::uint32_t embedding_numbers = 0;        // 0: the model has none.
  std::uint64_t projection_seed = 0;
  std::uint64_t seed = 0;
};

/// The most rows that a profile keeps.
inline constexpr std::size_t kMostProfileRows = 2'000;
inline constexpr std::size_t kConfidenceCells = 20;
/// The least distance of two neighbouring cuts of a feature, in shares of the training rows.
inline constexpr double kCutStep = 0.1;

/// The training rows that a profile keeps beside the held-out ones: a seeded random sample without
/// repeats, ascending, of as many as there is room for.
std::vector<std::uint32_t> SampleTrainingRows(std::size_t training_rows, std::size_t held_out_rows,
                                              std::uint64_t seed);

/// The same source gives the same profile. kInvalidArgument: sizes that do not fit, a label that is
/// no class, an infinite feature, a feature without any value named by its name.
Result<v1::ReferenceProfile> MakeReferenceProfile(const ProfileSource& source);

/// The bytes of profile.pb; the same profile gives the same bytes.
std::string PrintProfile(const v1::ReferenceProfile& profile);

}  // namespace tidewheel::training
