#include "tidewheel/blob/sha256.h"

#include <openssl/evp.h>

#include <cstdlib>

namespace tidewheel::blob {
namespace {

/// Looking an algorithm up by name costs more than hashing a small picture.
const EVP_MD* Algorithm() {
  static const EVP_MD* const kAlgorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  return kAlgorithm;
}

// OpenSSL fails here only without memory.
void Check(int ok) {
  if (ok != 1) std::abort();
}

}  // namespace

struct Sha256Hasher::Context {
  Context() : digest(EVP_MD_CTX_new()) {
    if (digest == nullptr || Algorithm() == nullptr) std::abort();
    Start();
  }
  ~Context() { EVP_MD_CTX_free(digest); }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  void Start() { Check(EVP_DigestInit_ex2(digest, Algorithm(), nullptr)); }

  EVP_MD_CTX* digest;
};

Sha256Hasher::Sha256Hasher() : context_(std::make_unique<Context>()) {}
Sha256Hasher::~Sha256Hasher() = default;

void Sha256Hasher::Add(std::string_view bytes) {
  Check(EVP_DigestUpdate(context_->digest, bytes.data(), bytes.size()));
}

Digest Sha256Hasher::Finish() {
  Digest result;
  Check(EVP_DigestFinal_ex(context_->digest, result.bytes.data(), nullptr));
  context_->Start();
  return result;
}

Digest Sha256(std::string_view bytes) {
  thread_local Sha256Hasher hasher;
  hasher.Add(bytes);
  return hasher.Finish();
}

}  // namespace tidewheel::blob
