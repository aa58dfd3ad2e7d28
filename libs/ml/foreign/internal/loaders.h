#pragma once

#include <memory>

#include "tidewheel/base/result.h"
#include "tidewheel/ml/foreign/foreign_model.h"

namespace tidewheel::ml {

Result<std::unique_ptr<ForeignModel>> LoadScript(int descriptor, const ForeignOptions& options);
Result<std::unique_ptr<ForeignModel>> LoadGradients(int descriptor, const ForeignOptions& options);
Result<std::unique_ptr<ForeignModel>> LoadPackage(int descriptor, const ForeignOptions& options);

/// All bytes of the file, whatever its position. kDataLoss: it cannot be read.
Result<void> ReadAt(int descriptor, std::size_t position, char* bytes, std::size_t count);
Result<std::size_t> SizeOf(int descriptor);

}  // namespace tidewheel::ml
