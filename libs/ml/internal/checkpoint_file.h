#pragma once

#include <ATen/ATen.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "tidewheel/base/result.h"

namespace tidewheel::ml {

/// A training's state by name. Numbers are tensors too.
using TrainingState = std::map<std::string, at::Tensor>;

/// A list of tensors under "NAME.0", "NAME.1" and so on.
void PutTensors(TrainingState& state, const std::string& name,
                const std::vector<at::Tensor>& tensors);
std::vector<at::Tensor> TensorsOf(const TrainingState& state, const std::string& name);
/// Throws where the state does not hold a list of this length and these shapes.
void CheckTensors(const TrainingState& state, const std::string& name,
                  const std::vector<at::Tensor>& like);
/// Into tensors that were checked.
void CopyTensors(const TrainingState& state, const std::string& name,
                 const std::vector<at::Tensor>& into);

/// A list of numbers as a tensor, and back; throws where there is none.
void PutNumbers(TrainingState& state, const std::string& name, const std::vector<double>& numbers);
std::vector<double> NumbersOf(const TrainingState& state, const std::string& name);

/// Replaces the file; a power cut leaves the old one or the new one, whole. kResourceExhausted: it
/// cannot be written.
Result<void> SaveCheckpoint(const std::filesystem::path& file, const std::string& identity,
                            const TrainingState& state);

/// kNotFound: there is no such file, or it was kept under another identity; kInvalidArgument: it
/// cannot be read.
Result<TrainingState> LoadCheckpoint(const std::filesystem::path& file,
                                     const std::string& identity);

}  // namespace tidewheel::ml
