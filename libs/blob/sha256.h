#pragma once

#include <memory>
#include <string_view>

#include "tidewheel/base/digest.h"

namespace tidewheel::blob {

/// SHA-256 (FIPS 180-4) of the bytes. Thread-safe; each thread keeps one context for reuse.
Digest Sha256(std::string_view bytes);

/// The same for bytes that come in parts. One thread at a time.
class Sha256Hasher {
 public:
  Sha256Hasher();
  ~Sha256Hasher();
  Sha256Hasher(const Sha256Hasher&) = delete;
  Sha256Hasher& operator=(const Sha256Hasher&) = delete;

  void Add(std::string_view bytes);

  /// Of everything added since the start or the last call, which begins anew.
  Digest Finish();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

}  // namespace tidewheel::blob
