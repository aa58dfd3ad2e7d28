#include "tidewheel/net/inflate.h"

#include <zlib.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <string>

namespace tidewheel::net {
namespace {

constexpr int kWindow = 15;
constexpr int kGzipWindow = kWindow + 16;

Error Broken(const char* how) {
  return {ErrorCode::kInvalidArgument, std::string("compressed data ") + how};
}

uInt AtMost(std::size_t size) {
  return static_cast<uInt>(std::min<std::size_t>(size, std::numeric_limits<uInt>::max()));
}

int WindowOf(Packing packing, std::string_view packed) {
  if (packing == Packing::kGzip) return kGzipWindow;
  // A zlib header is a multiple of 31 whose low half byte is 8.
  const bool wrapped =
      packed.size() >= 2 && (packed[0] & 0x0f) == 8 &&
      (static_cast<unsigned char>(packed[0]) * 256U + static_cast<unsigned char>(packed[1])) % 31 ==
          0;
  return wrapped ? kWindow : -kWindow;
}

}  // namespace

Result<void> Inflate(Packing packing, std::string_view packed, std::size_t most_bytes,
                     AlignedBytes* unpacked) {
  z_stream stream{};
  if (inflateInit2(&stream, WindowOf(packing, packed)) != Z_OK) {
    return Error{ErrorCode::kResourceExhausted, "zlib cannot begin"};
  }
  const std::unique_ptr<z_stream, decltype(&inflateEnd)> owned(&stream, &inflateEnd);
  std::size_t used = 0;
  while (true) {
    // One byte more than allowed tells too much from just enough.
    const std::size_t left = most_bytes + 1 - unpacked->size();
    const std::size_t room = std::min(left, std::max<std::size_t>(16 * 1'024, unpacked->size()));
    if (unpacked->room() < room && !unpacked->TryReserve(unpacked->size() + room)) {
      return Error{ErrorCode::kResourceExhausted, "no memory for compressed data"};
    }
    const std::string_view rest = packed.substr(used);
    stream.next_out = reinterpret_cast<Bytef*>(unpacked->Room(room));
    stream.avail_out = AtMost(room);
    stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(rest.data()));
    stream.avail_in = AtMost(rest.size());
    const uInt in_before = stream.avail_in;
    const uInt out_before = stream.avail_out;
    const int status = inflate(&stream, Z_NO_FLUSH);
    used += in_before - stream.avail_in;
    unpacked->Grow(out_before - stream.avail_out);
    if (unpacked->size() > most_bytes) {
      return Error{ErrorCode::kOutOfRange, "compressed data of more than " +
                                               std::to_string(most_bytes) + " bytes unpacked"};
    }
    if (status == Z_STREAM_END) {
      if (used == packed.size()) return {};
      if (packing != Packing::kGzip || inflateReset(&stream) != Z_OK) {
        return Broken("has something after its end");
      }
      continue;
    }
    if (status != Z_OK && status != Z_BUF_ERROR) return Broken("is broken");
    if (stream.avail_out == out_before && stream.avail_in == in_before) {
      return Broken("is cut short");
    }
  }
}

}  // namespace tidewheel::net
