// Any bytes as a model's configuration, in the text format of protocol buffers and as JSON: an
// error with words, or a configuration that is read the same again from the JSON that it is told
// as.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "must.h"
#include "tidewheel/base/result.h"
#include "tidewheel/inference/core/model_config.h"

namespace {

using tidewheel::fuzz::Must;
namespace inference = tidewheel::inference;

void Look(const tidewheel::Result<inference::ReadConfig>& read) {
  if (!read) {
    Must(!read.error().message.empty());
    return;
  }
  const std::string json = inference::ModelConfigJson(read->config);
  const auto again = inference::ReadModelConfigJson(json);
  Must(again.ok() && again->warnings.empty());
  Must(inference::ModelConfigJson(again->config) == json);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  Look(inference::ReadModelConfigText(text));
  Look(inference::ReadModelConfigJson(text));
  return 0;
}
