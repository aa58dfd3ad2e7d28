#include "tidewheel/inference/torch_runner/wire/bytes.h"

#include <cstring>
#include <utility>

namespace tidewheel::inference::torch_runner {

void ByteWriter::Number(std::uint64_t value) {
  bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void ByteWriter::Text(std::string_view text) {
  Number(text.size());
  bytes_.append(text);
}

void ByteWriter::Texts(const std::vector<std::string>& texts) {
  Number(texts.size());
  for (const auto& text : texts) Text(text);
}

void ByteWriter::Specs(const std::vector<TensorSpec>& specs) {
  Number(specs.size());
  for (const TensorSpec& spec : specs) {
    Text(spec.name);
    Number(static_cast<std::uint64_t>(spec.type));
    Number(spec.any ? 1 : 0);
    Number(spec.shape.size());
    for (const std::int64_t size : spec.shape) Number(static_cast<std::uint64_t>(size));
  }
}

std::uint64_t ByteReader::Number() {
  std::uint64_t value = 0;
  if (rest_.size() < sizeof value) {
    ok_ = false;
    rest_ = {};
    return 0;
  }
  std::memcpy(&value, rest_.data(), sizeof value);
  rest_.remove_prefix(sizeof value);
  return value;
}

std::size_t ByteReader::Count(std::size_t least) {
  const std::uint64_t count = Number();
  if (count > rest_.size() / least) {
    ok_ = false;
    rest_ = {};
    return 0;
  }
  return count;
}

std::string ByteReader::Text() {
  const std::size_t size = Count(1);
  std::string text(rest_.substr(0, size));
  rest_.remove_prefix(text.size());
  return text;
}

std::vector<std::string> ByteReader::Texts() {
  std::vector<std::string> texts;
  const std::size_t count = Count(sizeof(std::uint64_t));
  for (std::size_t i = 0; i < count; ++i) texts.push_back(Text());
  return texts;
}

std::vector<TensorSpec> ByteReader::Specs() {
  std::vector<TensorSpec> specs;
  const std::size_t count = Count(4 * sizeof(std::uint64_t));
  for (std::size_t i = 0; i < count; ++i) {
    TensorSpec spec{.name = Text()};
    const std::uint64_t type = Number();
    if (type > static_cast<std::uint64_t>(DataType::kBytes)) ok_ = false;
    spec.type = ok_ ? static_cast<DataType>(type) : DataType::kFp32;
    spec.any = Number() != 0;
    const std::size_t sizes = Count(sizeof(std::uint64_t));
    for (std::size_t k = 0; k < sizes; ++k) {
      spec.shape.push_back(static_cast<std::int64_t>(Number()));
    }
    specs.push_back(std::move(spec));
  }
  return specs;
}

}  // namespace tidewheel::inference::torch_runner
