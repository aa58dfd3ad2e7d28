#include "tidewheel/inference/oip_http/content_coding.h"

#include <zlib.h>

#include <algorithm>
#include <cctype>
#include <limits>
#include <memory>
#include <optional>

#include "tidewheel/net/inflate.h"

namespace tidewheel::inference::http {
namespace {

constexpr int kWindow = 15;
constexpr int kGzipWindow = kWindow + 16;

Bytef* In(std::string_view bytes) {
  return const_cast<Bytef*>(reinterpret_cast<const Bytef*>(bytes.data()));
}

uInt AtMost(std::size_t size) {
  return static_cast<uInt>(std::min<std::size_t>(size, std::numeric_limits<uInt>::max()));
}

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

std::string LowerCase(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

std::optional<Coding> CodingNamed(std::string_view name) {
  if (name == "gzip" || name == "x-gzip") return Coding::kGzip;
  if (name == "deflate") return Coding::kDeflate;
  if (name == "identity") return Coding::kIdentity;
  return std::nullopt;
}

}  // namespace

Result<Coding> ParseCoding(std::string_view text) {
  if (text.empty()) return Coding::kIdentity;
  if (const auto coding = CodingNamed(LowerCase(text))) return *coding;
  return Error{ErrorCode::kUnimplemented,
               "Content-Encoding \"" + std::string(text.substr(0, 40)) +
                   "\": bodies may be packed with gzip or deflate, once"};
}

Coding ChooseCoding(std::string_view accept_encoding) {
  Coding best = Coding::kIdentity;
  const std::string accepted = LowerCase(accept_encoding);
  std::string_view rest = accepted;
  while (!rest.empty()) {
    const auto comma = rest.find(',');
    std::string_view word = rest.substr(0, comma);
    rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
    const auto semicolon = word.find(';');
    if (semicolon != std::string_view::npos) {
      std::string_view weight = Trimmed(word.substr(semicolon + 1));
      // "q=0", "q=0.000": not this one.
      if (weight.starts_with("q=0") &&
          weight.find_first_of("123456789") == std::string_view::npos) {
        continue;
      }
      word = word.substr(0, semicolon);
    }
    const auto coding = CodingNamed(Trimmed(word));
    if (coding == Coding::kGzip) return Coding::kGzip;
    if (coding == Coding::kDeflate) best = Coding::kDeflate;
  }
  return best;
}

std::string_view Name(Coding coding) {
  switch (coding) {
    case Coding::kGzip:
      return "gzip";
    case Coding::kDeflate:
      return "deflate";
    case Coding::kIdentity:
      break;
  }
  return "identity";
}

Result<void> Unpack(Coding coding, std::string_view packed, std::size_t most_bytes,
                    net::AlignedBytes* unpacked) {
  switch (coding) {
    case Coding::kIdentity:
      if (packed.size() > most_bytes) {
        return Error{ErrorCode::kOutOfRange,
                     "a body of more than " + std::to_string(most_bytes) + " bytes"};
      }
      unpacked->Append(packed);
      return {};
    case Coding::kGzip:
      return net::Inflate(net::Packing::kGzip, packed, most_bytes, unpacked);
    case Coding::kDeflate:
      return net::Inflate(net::Packing::kDeflate, packed, most_bytes, unpacked);
  }
  return Error{ErrorCode::kInternal, "no such coding"};
}

std::string Pack(Coding coding, const Response& response) {
  z_stream stream{};
  deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, coding == Coding::kGzip ? kGzipWindow : kWindow,
               8, Z_DEFAULT_STRATEGY);
  const std::unique_ptr<z_stream, decltype(&deflateEnd)> owned(&stream, &deflateEnd);
  std::string packed(256 + response.size() / 4, '\0');
  std::size_t done = 0;
  const auto feed = [&](std::string_view bytes, bool last) {
    int status = Z_OK;
    do {
      stream.next_in = In(bytes);
      stream.avail_in = AtMost(bytes.size());
      const uInt in_before = stream.avail_in;
      do {
        if (done == packed.size()) packed.resize(2 * packed.size());
        stream.next_out = reinterpret_cast<Bytef*>(packed.data() + done);
        stream.avail_out = AtMost(packed.size() - done);
        const uInt out_before = stream.avail_out;
        status = deflate(&stream, last && in_before == bytes.size() ? Z_FINISH : Z_NO_FLUSH);
        done += out_before - stream.avail_out;
      } while (stream.avail_out == 0 && status != Z_STREAM_END);
      bytes.remove_prefix(in_before);
    } while (!bytes.empty() && status != Z_STREAM_END);
  };
  feed(response.body, response.pieces.empty());
  for (std::size_t i = 0; i < response.pieces.size(); ++i) {
    feed(response.pieces[i].bytes, i + 1 == response.pieces.size());
  }
  packed.resize(done);
  return packed;
}

}  // namespace tidewheel::inference::http
