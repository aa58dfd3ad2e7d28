#include "tidewheel/inference/oip_http/json_text.h"

#include <algorithm>

#include "tidewheel/log/log.h"

namespace tidewheel::inference {

void AppendQuoted(std::string_view text, std::string* json) {
  const bool plain = std::all_of(text.begin(), text.end(), [](char c) {
    return c >= ' ' && c <= '~' && c != '"' && c != '\\';
  });
  if (!plain) {
    *json += log::JsonQuoted(text);
    return;
  }
  *json += '"';
  *json += text;
  *json += '"';
}

std::string ErrorJson(std::string_view words) {
  std::string json = "{\"error\":";
  AppendQuoted(words, &json);
  json += '}';
  return json;
}

}  // namespace tidewheel::inference
