#pragma once

#include <cstddef>
#include <string_view>

#include "tidewheel/base/result.h"
#include "tidewheel/net/aligned_bytes.h"

namespace tidewheel::net {

enum class Packing {
  kGzip,     // RFC 1952; several members may follow each other.
  kDeflate,  // The zlib format of RFC 1950, or the raw one of RFC 1951 that some senders take for
             // it.
};

/// Appends what `packed` holds. Memory grows with what has been unpacked. kInvalidArgument: broken,
/// cut short, or followed by something; kOutOfRange: more than `most_bytes`; kResourceExhausted: no
/// memory for it.
Result<void> Inflate(Packing packing, std::string_view packed, std::size_t most_bytes,
                     AlignedBytes* unpacked);

}  // namespace tidewheel::net
