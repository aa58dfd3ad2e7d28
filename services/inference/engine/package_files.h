#pragma once

#include <string>
#include <string_view>

#include "tidewheel/base/result.h"
#include "tidewheel/blob/store.h"
#include "tidewheel/inference/domain/deployment.h"

namespace tidewheel::inference {

/// A file of the package, out of the payload store. kInvalidArgument: the package has none of that
/// name; the store's errors, with the name before them.
Result<std::string> ReadPackageFile(const blob::Store& payloads, const ModelPackage& package,
                                    std::string_view name);

}  // namespace tidewheel::inference
