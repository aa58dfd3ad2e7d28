#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace tidewheel::bench {

/// The floor of everything that must look at each byte once: adds up the data as 64-bit words, four
/// vectors of eight at a time, one thread. Give the answer to benchmark::DoNotOptimize. A program
/// that is held to "at most N reads" runs this over the same memory in the same process.
__attribute__((target_clones("avx512f", "avx2", "default"))) inline std::uint64_t StreamRead(
    std::span<const std::byte> bytes) {
  using Words = std::uint64_t __attribute__((vector_size(64), aligned(1), may_alias));
  constexpr std::size_t kVectors = 4;
  constexpr std::size_t kBlock = kVectors * sizeof(Words);
  Words sums[kVectors] = {};
  const std::size_t blocks = bytes.size() / kBlock;
  for (std::size_t block = 0; block < blocks; ++block) {
    const auto* words = reinterpret_cast<const Words*>(bytes.data() + block * kBlock);
    sums[0] += words[0];
    sums[1] += words[1];
    sums[2] += words[2];
    sums[3] += words[3];
  }
  const Words all = sums[0] + sums[1] + sums[2] + sums[3];
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < sizeof(Words) / sizeof(std::uint64_t); ++i) sum += all[i];
  for (const std::byte rest : bytes.subspan(blocks * kBlock)) {
    sum += static_cast<std::uint64_t>(rest);
  }
  return sum;
}

}  // namespace tidewheel::bench
