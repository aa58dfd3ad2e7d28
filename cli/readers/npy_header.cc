#include "tidewheel/cli/readers/npy_header.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include "tidewheel/cli/readers/text_rules.h"

namespace tidewheel::cli {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::size_t kMaxHeaderBytes = 64 * 1024;
constexpr std::size_t kMaxDimensions = 32;

struct KnownType {
  NpyType type;
  std::string_view code;  // Without the byte order.
  std::string_view name;
  std::size_t bytes;
};
constexpr std::array kTypes = {
    KnownType{NpyType::kBool, "b1", "bool", 1},
    KnownType{NpyType::kInt8, "i1", "int8", 1},
    KnownType{NpyType::kInt16, "i2", "int16", 2},
    KnownType{NpyType::kInt32, "i4", "int32", 4},
    KnownType{NpyType::kInt64, "i8", "int64", 8},
    KnownType{NpyType::kUint8, "u1", "uint8", 1},
    KnownType{NpyType::kUint16, "u2", "uint16", 2},
    KnownType{NpyType::kUint32, "u4", "uint32", 4},
    KnownType{NpyType::kUint64, "u8", "uint64", 8},
    KnownType{NpyType::kFloat16, "f2", "float16", 2},
    KnownType{NpyType::kFloat32, "f4", "float32", 4},
    KnownType{NpyType::kFloat64, "f8", "float64", 8},
};

Error Wrong(const std::string& what) { return {ErrorCode::kInvalidArgument, "header: " + what}; }

/// The literal of a Python dictionary, as far as the format needs it.
class Literal {
 public:
  explicit Literal(std::string_view text) : rest_(text) {}

  bool Take(char c) {
    SkipBlanks();
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }

  bool Peek(char c) {
    SkipBlanks();
    return !rest_.empty() && rest_.front() == c;
  }

  bool AtEnd() {
    SkipBlanks();
    return rest_.empty();
  }

  /// Text in quotes, without escapes: the format has none.
  std::optional<std::string> Text() {
    SkipBlanks();
    if (rest_.empty() || (rest_.front() != '\'' && rest_.front() != '"')) return std::nullopt;
    const std::size_t end = rest_.find(rest_.front(), 1);
    if (end == std::string_view::npos) return std::nullopt;
    std::string text(rest_.substr(1, end - 1));
    rest_.remove_prefix(end + 1);
    return text;
  }

  std::optional<bool> Truth() {
    SkipBlanks();
    for (const auto& [word, value] : {std::pair("True", true), std::pair("False", false)}) {
      if (rest_.starts_with(word)) {
        rest_.remove_prefix(std::string_view(word).size());
        return value;
      }
    }
    return std::nullopt;
  }

  /// A whole number that is not negative; Python 2 wrote an L behind it.
  std::optional<std::uint64_t> Number() {
    SkipBlanks();
    std::uint64_t number = 0;
    const auto [end, problem] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), number);
    if (problem != std::errc()) return std::nullopt;
    rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
    if (rest_.starts_with('L')) rest_.remove_prefix(1);
    return number;
  }

 private:
  void SkipBlanks() {
    const std::size_t word = rest_.find_first_not_of(" \t\r\n");
    rest_.remove_prefix(std::min(word, rest_.size()));
  }

  std::string_view rest_;
};

Result<void> ReadType(Literal& literal, NpyHeader& header) {
  if (literal.Peek('[')) {
    return Error{ErrorCode::kUnimplemented,
                 "header: descr: structures are not read, save one array of numbers"};
  }
  const auto text = literal.Text();
  if (!text) return Wrong("descr: no text in quotes");
  const bool has_order =
      !text->empty() && std::string_view("<>|=").find(text->front()) != std::string_view::npos;
  const std::string_view code = std::string_view(*text).substr(has_order ? 1 : 0);
  const auto found = std::find_if(kTypes.begin(), kTypes.end(),
                                  [&](const KnownType& known) { return known.code == code; });
  if (found == kTypes.end()) {
    return Error{ErrorCode::kUnimplemented,
                 "header: descr: type \"" + Printable(*text, 40) +
                     "\" is not read; bool, int8 to int64, uint8 to uint64 and float16 to float64 "
                     "are"};
  }
  if (found->bytes > 1 && (!has_order || text->front() == '|')) {
    return Wrong("descr: \"" + Printable(*text, 40) + "\" has no byte order");
  }
  header.type = found->type;
  header.big_endian = found->bytes > 1 && text->front() == '>';
  return {};
}

Result<void> ReadShape(Literal& literal, NpyHeader& header) {
  if (!literal.Take('(')) return Wrong("shape: no tuple");
  while (!literal.Take(')')) {
    if (header.shape.size() == kMaxDimensions) {
      return Wrong("shape: more than " + std::to_string(kMaxDimensions) + " dimensions");
    }
    const auto size = literal.Number();
    if (!size) {
      return Wrong("shape: dimension " + std::to_string(header.shape.size()) +
                   " is no whole number from 0 to 2^64 - 1");
    }
    header.shape.push_back(*size);
    // "(3)" is a number in Python and no tuple.
    if (!literal.Take(',') && (header.shape.size() == 1 || !literal.Peek(')'))) {
      return Wrong("shape: no comma behind dimension " + std::to_string(header.shape.size() - 1));
    }
  }
  return {};
}

/// The fields in any order, each once; anything else is an error, as it is for NumPy.
Result<void> ReadFields(std::string_view text, NpyHeader& header) {
  Literal literal(text);
  if (!literal.Take('{')) return Wrong("no dictionary");
  bool have_type = false;
  bool have_order = false;
  bool have_shape = false;
  while (!literal.Take('}')) {
    const auto key = literal.Text();
    if (!key || !literal.Take(':')) return Wrong("not a dictionary of names and values");
    bool* have = *key == "descr"           ? &have_type
                 : *key == "fortran_order" ? &have_order
                 : *key == "shape"         ? &have_shape
                                           : nullptr;
    if (have == nullptr) return Wrong("a field \"" + Printable(*key, 40) + "\"");
    if (std::exchange(*have, true)) return Wrong("two fields \"" + *key + "\"");
    if (have == &have_order) {
      const auto value = literal.Truth();
      if (!value) return Wrong("fortran_order: neither True nor False");
      header.fortran_order = *value;
    } else {
      const auto read = have == &have_type ? ReadType(literal, header) : ReadShape(literal, header);
      if (!read) return read.error();
    }
    if (!literal.Take(',') && !literal.Peek('}')) return Wrong("no comma behind \"" + *key + "\"");
  }
  if (!literal.AtEnd()) return Wrong("text behind the dictionary");
  if (!have_type) return Wrong("no field \"descr\"");
  if (!have_order) return Wrong("no field \"fortran_order\"");
  if (!have_shape) return Wrong("no field \"shape\"");
  return {};
}

/// Product of the shape; none beyond what a file can have.
std::optional<std::uint64_t> Count(const NpyHeader& header) {
  if (std::find(header.shape.begin(), header.shape.end(), 0u) != header.shape.end()) return 0;
  std::uint64_t count = 1;
  const std::uint64_t limit = (std::uint64_t{1} << 62) / SizeOf(header.type);
  for (const std::uint64_t size : header.shape) {
    if (size > limit / count) return std::nullopt;
    count *= size;
  }
  return count;
}

}  // namespace

std::string_view Name(NpyType type) { return kTypes[static_cast<std::size_t>(type)].name; }

std::size_t SizeOf(NpyType type) { return kTypes[static_cast<std::size_t>(type)].bytes; }

std::string NpyHeader::ShapeText() const {
  std::string text = "(";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  }
  return text + (shape.size() == 1 ? ",)" : ")");
}

Result<NpyHeader> ReadNpyHeader(std::span<const std::byte> bytes, std::uint64_t file_bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (!text.starts_with(kMagic)) {
    return Error{ErrorCode::kInvalidArgument, "no .npy file: it does not begin with \\x93NUMPY"};
  }
  if (text.size() < kMagic.size() + 2) {
    return Error{ErrorCode::kDataLoss, "header: the file ends within it"};
  }
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
  const unsigned major = byte(kMagic.size());
  const unsigned minor = byte(kMagic.size() + 1);
  if (major < 1 || major > 3 || minor != 0) {
    return Error{ErrorCode::kUnimplemented, "format version " + std::to_string(major) + "." +
                                                std::to_string(minor) +
                                                " is not read; 1.0, 2.0 and 3.0 are"};
  }
  const std::size_t width = major == 1 ? 2 : 4;
  const std::size_t begin = kMagic.size() + 2 + width;
  if (text.size() < begin) {
    return Error{ErrorCode::kDataLoss, "header: the file ends within it"};
  }
  std::size_t length = 0;
  for (std::size_t i = width; i > 0; --i) length = length << 8 | byte(begin - width + i - 1);
  if (length > kMaxHeaderBytes) return Wrong(OverLimit(length, kMaxHeaderBytes));
  if (text.size() - begin < length) {
    return Error{ErrorCode::kDataLoss, "header: the file ends within it"};
  }

  NpyHeader header;
  header.data_offset = begin + length;
  const auto read = ReadFields(text.substr(begin, length), header);
  if (!read) return read.error();
  const auto count = Count(header);
  if (!count) return Wrong("shape: " + header.ShapeText() + " is more than a file can hold");
  header.count = *count;
  const std::uint64_t wanted = header.count * SizeOf(header.type);
  const std::uint64_t there = file_bytes - header.data_offset;
  if (wanted != there) {
    return Error{ErrorCode::kDataLoss, "shape " + header.ShapeText() + " of " +
                                           std::string(Name(header.type)) + " takes " +
                                           std::to_string(wanted) + " bytes, the file has " +
                                           std::to_string(there) + " behind its header"};
  }
  return header;
}

}  // namespace tidewheel::cli
