#include "tidewheel/labels/internal/row_reduce.h"

#include <array>
#include <cstring>

namespace tidewheel::labels::internal {
namespace {

#define TIDEWHEEL_INLINE __attribute__((always_inline)) inline

// Vectors of the machine's own width: GCC takes wider ones to pieces badly. None is passed or
// returned by value, so that no function's interface depends on the machine.
template <typename T, std::size_t kBytes>
struct Vector {
  typedef T Type __attribute__((vector_size(kBytes)));
};

/// What the lanes of a row hold so far.
template <typename T, typename B, std::size_t kBytes>
struct Lanes {
  using Values = typename Vector<T, kBytes>::Type;
  using Words = typename Vector<B, kBytes>::Type;
  Values sum{};
  Words top{};
  Words confident{};

  TIDEWHEEL_INLINE void Take(const Values& v, const B* cuts) {
    Words cut;
    std::memcpy(&cut, cuts, sizeof(cut));
    const auto bits = reinterpret_cast<Words>(v);
    sum += v;
    top = bits > top ? bits : top;
    const Words reached = bits >= cut ? bits : bits ^ bits;
    confident = reached > confident ? reached : confident;
  }
  TIDEWHEEL_INLINE void Take(const T* values, const B* cuts) {
    Values v;
    std::memcpy(&v, values, sizeof(v));
    Take(v, cuts);
  }
  TIDEWHEEL_INLINE void Join(const Lanes& other) {
    sum += other.sum;
    top = other.top > top ? other.top : top;
    confident = other.confident > confident ? other.confident : confident;
  }
};

/// The lanes as one: half the width each time, then one by one.
template <typename T, typename B, std::size_t kBytes>
TIDEWHEEL_INLINE void Fold(const Lanes<T, B, kBytes>& lanes, T& sum, B& top, B& confident) {
  if constexpr (kBytes > 16) {
    Lanes<T, B, kBytes / 2> low;
    Lanes<T, B, kBytes / 2> high;
    const auto split =
        [](const auto& whole, auto& first, auto& second) __attribute__((always_inline)) {
      std::memcpy(&first, &whole, sizeof(first));
      std::memcpy(&second, reinterpret_cast<const char*>(&whole) + sizeof(first), sizeof(second));
    };
    split(lanes.sum, low.sum, high.sum);
    split(lanes.top, low.top, high.top);
    split(lanes.confident, low.confident, high.confident);
    low.Join(high);
    Fold(low, sum, top, confident);
  } else {
    sum = lanes.sum[0];
    top = lanes.top[0];
    confident = lanes.confident[0];
    for (std::size_t i = 1; i < kBytes / sizeof(T); ++i) {
      sum += lanes.sum[i];
      top = lanes.top[i] > top ? lanes.top[i] : top;
      confident = lanes.confident[i] > confident ? lanes.confident[i] : confident;
    }
  }
}

template <std::size_t kBytes, typename T, typename B>
TIDEWHEEL_INLINE void Reduce(const T* values, std::size_t rows, std::size_t classes, const T* end,
                             const B* cuts, T* sum, B* top, B* confident) {
  using Values = typename Vector<T, kBytes>::Type;
  using Words = typename Vector<B, kBytes>::Type;
  constexpr std::size_t kLanes = kBytes / sizeof(T);
  const std::size_t rest = classes % kLanes;
  Words mask{};
  for (std::size_t i = 0; i < kLanes; ++i) mask[i] = i < rest ? ~B{0} : B{0};

  for (std::size_t r = 0; r < rows; ++r) {
    const T* row = values + r * classes;
    // Two at once: an addition takes longer than the loop's other steps.
    Lanes<T, B, kBytes> even;
    Lanes<T, B, kBytes> odd;
    std::size_t k = 0;
    for (; k + 2 * kLanes <= classes; k += 2 * kLanes) {
      even.Take(row + k, cuts + k);
      odd.Take(row + k + kLanes, cuts + k + kLanes);
    }
    if (k + kLanes <= classes) {
      even.Take(row + k, cuts + k);
      k += kLanes;
    }
    if (rest > 0) {
      Values v;
      if (static_cast<std::size_t>(end - (row + k)) >= kLanes) {
        // Reads into the next row; what is not ours counts as zero.
        std::memcpy(&v, row + k, sizeof(v));
        v = reinterpret_cast<Values>(reinterpret_cast<Words>(v) & mask);
      } else {
        v = Values{};
        for (std::size_t i = 0; i < rest; ++i) v[i] = row[k + i];
      }
      odd.Take(v, cuts + k);
    }
    even.Join(odd);
    T row_sum;
    B row_top, row_confident;
    Fold(even, row_sum, row_top, row_confident);
    sum[r] = row_sum;
    top[r] = row_top;
    confident[r] = row_confident;
  }
}

template <std::size_t kBytes, typename T, typename B>
TIDEWHEEL_INLINE std::size_t Find(const T* row, std::size_t classes, B wanted) {
  using Words = typename Vector<B, kBytes>::Type;
  constexpr std::size_t kLanes = kBytes / sizeof(B);
  std::size_t k = 0;
  for (; k + 2 * kLanes <= classes; k += 2 * kLanes) {
    Words first, second;
    std::memcpy(&first, row + k, sizeof(first));
    std::memcpy(&second, row + k + kLanes, sizeof(second));
    const auto found = (first == wanted) | (second == wanted);
    std::array<std::uint64_t, kBytes / 8> words;
    std::memcpy(words.data(), &found, kBytes);
    std::uint64_t any = 0;
    for (const std::uint64_t word : words) any |= word;
    if (any != 0) break;
  }
  for (; k < classes; ++k) {
    B bits;
    std::memcpy(&bits, row + k, sizeof(bits));
    if (bits == wanted) return k;
  }
  return classes;
}

/// One choice of functions for each width.
template <typename T, typename B>
struct Functions {
  void (*reduce)(const T*, std::size_t, std::size_t, const T*, const B*, T*, B*, B*);
  std::size_t (*find)(const T*, std::size_t, B);
};

// The choice is made by hand, not by target_clones: the width is a parameter.
#define TIDEWHEEL_REDUCE(name, bytes, T, B)                                               \
  void Reduce##name(const T* values, std::size_t rows, std::size_t classes, const T* end, \
                    const B* cuts, T* sum, B* top, B* confident) {                        \
    Reduce<bytes>(values, rows, classes, end, cuts, sum, top, confident);                 \
  }
#define TIDEWHEEL_FIND(name, bytes, T, B)                               \
  std::size_t Find##name(const T* row, std::size_t classes, B wanted) { \
    return Find<bytes>(row, classes, wanted);                           \
  }
#define TIDEWHEEL_AVX2 __attribute__((target("avx2")))
#define TIDEWHEEL_AVX512 __attribute__((target("avx512f,avx512dq,avx512vl")))

TIDEWHEEL_REDUCE(NarrowF32, 16, float, std::uint32_t)
TIDEWHEEL_REDUCE(NarrowF64, 16, double, std::uint64_t)
TIDEWHEEL_FIND(NarrowF32, 16, float, std::uint32_t)
TIDEWHEEL_FIND(NarrowF64, 16, double, std::uint64_t)
#if defined(__x86_64__)
TIDEWHEEL_AVX2 TIDEWHEEL_REDUCE(Avx2F32, 32, float, std::uint32_t) TIDEWHEEL_AVX2
    TIDEWHEEL_REDUCE(Avx2F64, 32, double, std::uint64_t) TIDEWHEEL_AVX2
    TIDEWHEEL_FIND(Avx2F32, 32, float, std::uint32_t) TIDEWHEEL_AVX2
    TIDEWHEEL_FIND(Avx2F64, 32, double, std::uint64_t) TIDEWHEEL_AVX512
    TIDEWHEEL_REDUCE(Avx512F32, 64, float, std::uint32_t) TIDEWHEEL_AVX512
    TIDEWHEEL_REDUCE(Avx512F64, 64, double, std::uint64_t)
#endif

        template <typename T, typename B>
        Functions<T, B> Choose() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl")) {
    // GCC compares 512-bit vectors for equality one lane at a time.
    if constexpr (sizeof(T) == 4) return {ReduceAvx512F32, FindAvx2F32};
    if constexpr (sizeof(T) == 8) return {ReduceAvx512F64, FindAvx2F64};
  }
  if (__builtin_cpu_supports("avx2")) {
    if constexpr (sizeof(T) == 4) return {ReduceAvx2F32, FindAvx2F32};
    if constexpr (sizeof(T) == 8) return {ReduceAvx2F64, FindAvx2F64};
  }
#endif
  if constexpr (sizeof(T) == 4) {
    return {ReduceNarrowF32, FindNarrowF32};
  } else {
    return {ReduceNarrowF64, FindNarrowF64};
  }
}

template <typename T, typename B>
const Functions<T, B>& Chosen() {
  static const Functions<T, B> functions = Choose<T, B>();
  return functions;
}

}  // namespace

void ReduceRows(const float* values, std::size_t rows, std::size_t classes, const float* end,
                const std::uint32_t* cuts, float* sum, std::uint32_t* top,
                std::uint32_t* confident) {
  Chosen<float, std::uint32_t>().reduce(values, rows, classes, end, cuts, sum, top, confident);
}
void ReduceRows(const double* values, std::size_t rows, std::size_t classes, const double* end,
                const std::uint64_t* cuts, double* sum, std::uint64_t* top,
                std::uint64_t* confident) {
  Chosen<double, std::uint64_t>().reduce(values, rows, classes, end, cuts, sum, top, confident);
}
std::size_t FindBits(const float* row, std::size_t classes, std::uint32_t bits) {
  return Chosen<float, std::uint32_t>().find(row, classes, bits);
}
std::size_t FindBits(const double* row, std::size_t classes, std::uint64_t bits) {
  return Chosen<double, std::uint64_t>().find(row, classes, bits);
}

}  // namespace tidewheel::labels::internal
