#include "tidewheel/labels/internal/row_reduce.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

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
  Words predicted{};  // The first class of those that have the top, of each lane.
  Words confident{};

  /// `classes`: those of the values, one a lane.
  TIDEWHEEL_INLINE void Take(const Values& v, const Words& classes, const B* cuts) {
    Words cut;
    std::memcpy(&cut, cuts, sizeof(cut));
    const auto bits = reinterpret_cast<Words>(v);
    sum += v;
    predicted = bits > top ? classes : predicted;
    top = bits > top ? bits : top;
    const Words reached = bits >= cut ? bits : bits ^ bits;
    confident = reached > confident ? reached : confident;
  }
  TIDEWHEEL_INLINE void Take(const T* values, const Words& classes, const B* cuts) {
    Values v;
    std::memcpy(&v, values, sizeof(v));
    Take(v, classes, cuts);
  }
  TIDEWHEEL_INLINE void Join(const Lanes& other) {
    sum += other.sum;
    const Words first = other.predicted < predicted ? other.predicted : predicted;
    predicted = other.top == top ? first : predicted;
    predicted = other.top > top ? other.predicted : predicted;
    top = other.top > top ? other.top : top;
    confident = other.confident > confident ? other.confident : confident;
  }
};

/// What a row comes to.
template <typename T, typename B>
struct RowTotals {
  T sum;
  B top;
  B predicted;
  B confident;
};

/// The lanes as one: half the width each time, then one by one.
template <typename T, typename B, std::size_t kBytes>
TIDEWHEEL_INLINE void Fold(const Lanes<T, B, kBytes>& lanes, RowTotals<T, B>& row) {
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
    split(lanes.predicted, low.predicted, high.predicted);
    split(lanes.confident, low.confident, high.confident);
    low.Join(high);
    Fold(low, row);
  } else {
    row = {lanes.sum[0], lanes.top[0], lanes.predicted[0], lanes.confident[0]};
    for (std::size_t i = 1; i < kBytes / sizeof(T); ++i) {
      row.sum += lanes.sum[i];
      const bool first =
          lanes.top[i] > row.top || (lanes.top[i] == row.top && lanes.predicted[i] < row.predicted);
      row.predicted = first ? lanes.predicted[i] : row.predicted;
      row.top = lanes.top[i] > row.top ? lanes.top[i] : row.top;
      row.confident = lanes.confident[i] > row.confident ? lanes.confident[i] : row.confident;
    }
  }
}

/// The processor by itself does not look over the end of a page. Asks for nothing that must exist.
template <typename T>
TIDEWHEEL_INLINE void PrefetchAhead(const T* values, std::size_t line) {
  constexpr std::uintptr_t kAhead = 8192;
  __builtin_prefetch(
      reinterpret_cast<const void*>(reinterpret_cast<std::uintptr_t>(values) + kAhead + line));
}

template <std::size_t kBytes, typename T, typename B>
TIDEWHEEL_INLINE void ReduceLong(const T* values, std::size_t rows, std::size_t classes,
                                 const T* end, const B* cuts, T* sum, B* top,
                                 std::int32_t* predicted, B* confident) {
  using Values = typename Vector<T, kBytes>::Type;
  using Words = typename Vector<B, kBytes>::Type;
  constexpr std::size_t kLanes = kBytes / sizeof(T);
  const std::size_t rest = classes % kLanes;
  Words mask{};
  Words first{};
  for (std::size_t i = 0; i < kLanes; ++i) {
    mask[i] = i < rest ? ~B{0} : B{0};
    first[i] = static_cast<B>(i);
  }

  for (std::size_t r = 0; r < rows; ++r) {
    const T* row = values + r * classes;
    // Two at once: an addition takes longer than the loop's other steps.
    Lanes<T, B, kBytes> even;
    Lanes<T, B, kBytes> odd;
    Words number = first;
    std::size_t k = 0;
    for (; k + 2 * kLanes <= classes; k += 2 * kLanes) {
      for (std::size_t line = 0; line < 2 * kBytes; line += 64) PrefetchAhead(row + k, line);
      even.Take(row + k, number, cuts + k);
      number += kLanes;
      odd.Take(row + k + kLanes, number, cuts + k + kLanes);
      number += kLanes;
    }
    if (k + kLanes <= classes) {
      even.Take(row + k, number, cuts + k);
      number += kLanes;
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
      odd.Take(v, number, cuts + k);
    }
    even.Join(odd);
    RowTotals<T, B> totals;
    Fold(even, totals);
    sum[r] = totals.sum;
    top[r] = totals.top;
    predicted[r] = static_cast<std::int32_t>(totals.predicted);
    confident[r] = totals.confident;
  }
}

// The choice is made by hand, not by target_clones: the width is a parameter.
#define TIDEWHEEL_WIDTH(name, attribute, bytes, T, B)                                         \
  attribute void name(const T* values, std::size_t rows, std::size_t classes, const T* end,   \
                      const B* cuts, T* sum, B* top, std::int32_t* predicted, B* confident) { \
    ReduceLong<bytes>(values, rows, classes, end, cuts, sum, top, predicted, confident);      \
  }
#define TIDEWHEEL_AVX2 __attribute__((target("avx2")))
#define TIDEWHEEL_AVX512 __attribute__((target("avx512f,avx512dq,avx512vl")))
TIDEWHEEL_WIDTH(NarrowF32, , 16, float, std::uint32_t)
TIDEWHEEL_WIDTH(NarrowF64, , 16, double, std::uint64_t)
#if defined(__x86_64__)
TIDEWHEEL_WIDTH(Avx2F32, TIDEWHEEL_AVX2, 32, float, std::uint32_t)
TIDEWHEEL_WIDTH(Avx2F64, TIDEWHEEL_AVX2, 32, double, std::uint64_t)
TIDEWHEEL_WIDTH(Avx512F32, TIDEWHEEL_AVX512, 64, float, std::uint32_t)
TIDEWHEEL_WIDTH(Avx512F64, TIDEWHEEL_AVX512, 64, double, std::uint64_t)
#endif

#if defined(__x86_64__)
bool HasAvx2() { return __builtin_cpu_supports("avx2") != 0; }
bool HasAvx512() {
  return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512dq") != 0 &&
         __builtin_cpu_supports("avx512vl") != 0;
}

/// Eight rows of eight doubles, given as their rows, become their columns.
TIDEWHEEL_AVX512 TIDEWHEEL_INLINE void Transpose(__m512d (&block)[8]) {
  __m512d pairs[8];
  for (std::size_t i = 0; i < 8; i += 2) {
    pairs[i] = _mm512_unpacklo_pd(block[i], block[i + 1]);
    pairs[i + 1] = _mm512_unpackhi_pd(block[i], block[i + 1]);
  }
  for (std::size_t odd = 0; odd < 2; ++odd) {
    const __m512d low_even = _mm512_shuffle_f64x2(pairs[odd], pairs[odd + 2], 0x88);
    const __m512d low_odd = _mm512_shuffle_f64x2(pairs[odd], pairs[odd + 2], 0xDD);
    const __m512d high_even = _mm512_shuffle_f64x2(pairs[odd + 4], pairs[odd + 6], 0x88);
    const __m512d high_odd = _mm512_shuffle_f64x2(pairs[odd + 4], pairs[odd + 6], 0xDD);
    block[odd] = _mm512_shuffle_f64x2(low_even, high_even, 0x88);
    block[odd + 4] = _mm512_shuffle_f64x2(low_even, high_even, 0xDD);
    block[odd + 2] = _mm512_shuffle_f64x2(low_odd, high_odd, 0x88);
    block[odd + 6] = _mm512_shuffle_f64x2(low_odd, high_odd, 0xDD);
  }
}

/// Columns of eight rows of two doubles each.
TIDEWHEEL_AVX512 TIDEWHEEL_INLINE void TransposePair(const double* values, std::size_t stride,
                                                     __m512d& left, __m512d& right) {
  __m512d even = _mm512_setzero_pd();  // Rows 0, 2, 4, 6.
  __m512d odd = _mm512_setzero_pd();
  for (std::size_t i = 0; i < 4; ++i) {
    const auto lane = static_cast<__mmask8>(3U << (2 * i));
    const double* row = values + 2 * i * stride;
    even = _mm512_mask_broadcast_f64x2(even, lane, _mm_loadu_pd(row));
    odd = _mm512_mask_broadcast_f64x2(odd, lane, _mm_loadu_pd(row + stride));
  }
  left = _mm512_unpacklo_pd(even, odd);
  right = _mm512_unpackhi_pd(even, odd);
}

/// Eight short rows, one in each lane.
struct EightRows {
  __m512d sum;
  __m512i top;
  __m512i confident;
  __m512i predicted;
  __m512i voted;
};

TIDEWHEEL_AVX512 TIDEWHEEL_INLINE void TakeColumn(const __m512d& column, std::size_t number,
                                                  const std::uint64_t* cuts, EightRows& rows) {
  const __m512i bits = _mm512_castpd_si512(column);
  const __m512i numbers = _mm512_set1_epi64(static_cast<long long>(number));
  rows.sum = _mm512_add_pd(rows.sum, column);
  const __mmask8 larger = _mm512_cmpgt_epu64_mask(bits, rows.top);
  rows.top = _mm512_max_epu64(rows.top, bits);
  rows.predicted = _mm512_mask_mov_epi64(rows.predicted, larger, numbers);
  const __mmask8 reached =
      _mm512_cmpge_epu64_mask(bits, _mm512_set1_epi64(static_cast<long long>(cuts[number])));
  const __mmask8 surer = _mm512_mask_cmpgt_epu64_mask(reached, bits, rows.confident);
  rows.confident = _mm512_mask_mov_epi64(rows.confident, surer, bits);
  rows.voted = _mm512_mask_mov_epi64(rows.voted, surer, numbers);
}

TIDEWHEEL_AVX512 TIDEWHEEL_INLINE void TakeColumns(const double* values, std::size_t present,
                                                   std::size_t classes, std::size_t first,
                                                   const std::uint64_t* cuts, EightRows& rows) {
  const std::size_t columns = classes - first < 8 ? classes - first : 8;
  __m512d block[8];
  if (columns == 2 && present == 8) {
    TransposePair(values + first, classes, block[0], block[1]);
    TakeColumn(block[0], first, cuts, rows);
    TakeColumn(block[1], first + 1, cuts, rows);
    return;
  }
  const auto own = static_cast<__mmask8>((1U << columns) - 1);
  for (std::size_t i = 0; i < 8; ++i) {
    const std::size_t row = i < present ? i : 0;
    block[i] = _mm512_maskz_loadu_pd(own, values + row * classes + first);
  }
  Transpose(block);
#pragma GCC unroll 8
  for (std::size_t k = 0; k < 8; ++k) {
    if (k >= columns) break;
    TakeColumn(block[k], first + k, cuts, rows);
  }
}

/// Which of eight rows are plain, and which of these vote.
TIDEWHEEL_AVX512 TIDEWHEEL_INLINE void PlainRows(const EightRows& rows, const __m512i& labels,
                                                 __mmask8 kept, std::uint8_t& plain,
                                                 std::uint8_t& voting) {
  const __m512d apart = _mm512_abs_pd(_mm512_sub_pd(rows.sum, _mm512_set1_pd(1)));
  const __mmask8 near = _mm512_cmp_pd_mask(apart, _mm512_set1_pd(kSureSum), _CMP_LE_OQ);
  const __mmask8 inside =
      _mm512_mask_cmple_epu64_mask(near, rows.top, _mm512_castpd_si512(_mm512_set1_pd(1)));
  const __mmask8 agrees = _mm512_mask_cmpeq_epi64_mask(inside, rows.predicted, labels);
  const __mmask8 votes = _mm512_mask_cmpeq_epi64_mask(agrees, rows.voted, labels);
  const __mmask8 none = _mm512_mask_cmpeq_epi64_mask(agrees, rows.voted, _mm512_set1_epi64(-1));
  plain = static_cast<std::uint8_t>((votes | none) & kept);
  voting = static_cast<std::uint8_t>(votes & kept);
}

/// Doubles eight rows at a time, each class in a vector of its own: nothing has to be found across
/// lanes. Reads only the rows.
TIDEWHEEL_AVX512 void ShortAvx512(const double* values, std::size_t rows, std::size_t classes,
                                  const std::uint64_t* cuts, const std::int32_t* labels,
                                  double* sum, std::uint64_t* top, std::int32_t* predicted,
                                  std::int32_t* voted, std::uint8_t* plain, std::uint8_t* votes) {
  for (std::size_t r = 0; r < rows; r += 8) {
    const std::size_t present = rows - r < 8 ? rows - r : 8;
    const auto kept = static_cast<__mmask8>((1U << present) - 1);
    const double* first = values + r * classes;
    EightRows eight = {_mm512_setzero_pd(), _mm512_setzero_si512(), _mm512_setzero_si512(),
                       _mm512_setzero_si512(), _mm512_set1_epi64(-1)};
    TakeColumns(first, present, classes, 0, cuts, eight);
    if (classes > 8) TakeColumns(first, present, classes, 8, cuts, eight);
    _mm512_mask_storeu_pd(sum + r, kept, eight.sum);
    _mm512_mask_storeu_epi64(top + r, kept, eight.top);
    _mm512_mask_cvtepi64_storeu_epi32(predicted + r, kept, eight.predicted);
    _mm512_mask_cvtepi64_storeu_epi32(voted + r, kept, eight.voted);
    const __m512i given = _mm512_cvtepi32_epi64(_mm256_maskz_loadu_epi32(kept, labels + r));
    PlainRows(eight, given, kept, plain[r / 8], votes[r / 8]);
  }
}

/// Floats row by row, with masks instead of lanes of zeros and ones, which the compiler does not
/// find by itself. Reads only the rows.
TIDEWHEEL_AVX512 void ShortAvx512(const float* values, std::size_t rows, std::size_t classes,
                                  const std::uint32_t* cuts, const std::int32_t* labels, float* sum,
                                  std::uint32_t* top, std::int32_t* predicted, std::int32_t* voted,
                                  std::uint8_t* plain, std::uint8_t* votes) {
  const std::uint64_t own = (std::uint64_t{1} << classes) - 1;
  const auto low = static_cast<__mmask16>(own & 0xFFFF);
  const auto high = static_cast<__mmask16>(own >> 16);
  const __m512i ones = _mm512_set1_epi32(-1);
  const __m512i cut0 = _mm512_mask_loadu_epi32(ones, low, cuts);
  const __m512i cut1 = _mm512_mask_loadu_epi32(ones, high, cuts + 16);
  for (std::size_t r = 0; r < rows; ++r) {
    const float* row = values + r * classes;
    const __m512i bits0 = _mm512_maskz_loadu_epi32(low, row);
    const __m512i bits1 = _mm512_maskz_loadu_epi32(high, row + 16);
    const __mmask16 reached0 = _mm512_cmpge_epu32_mask(bits0, cut0);
    const __mmask16 reached1 = _mm512_cmpge_epu32_mask(bits1, cut1);
    __m512 sums = _mm512_add_ps(_mm512_castsi512_ps(bits0), _mm512_castsi512_ps(bits1));
    __m512i most = _mm512_max_epu32(bits0, bits1);
    __m512i sure = _mm512_max_epu32(_mm512_maskz_mov_epi32(reached0, bits0),
                                    _mm512_maskz_mov_epi32(reached1, bits1));
    // Halves, quarters, pairs: every lane ends with the result.
    sums = _mm512_add_ps(sums, _mm512_shuffle_f32x4(sums, sums, 0x4E));
    most = _mm512_max_epu32(most, _mm512_shuffle_i32x4(most, most, 0x4E));
    sure = _mm512_max_epu32(sure, _mm512_shuffle_i32x4(sure, sure, 0x4E));
    sums = _mm512_add_ps(sums, _mm512_shuffle_f32x4(sums, sums, 0xB1));
    most = _mm512_max_epu32(most, _mm512_shuffle_i32x4(most, most, 0xB1));
    sure = _mm512_max_epu32(sure, _mm512_shuffle_i32x4(sure, sure, 0xB1));
    sums = _mm512_add_ps(sums, _mm512_permute_ps(sums, 0x4E));
    most = _mm512_max_epu32(most, _mm512_shuffle_epi32(most, _MM_PERM_BADC));
    sure = _mm512_max_epu32(sure, _mm512_shuffle_epi32(sure, _MM_PERM_BADC));
    sums = _mm512_add_ps(sums, _mm512_permute_ps(sums, 0xB1));
    most = _mm512_max_epu32(most, _mm512_shuffle_epi32(most, _MM_PERM_CDAB));
    sure = _mm512_max_epu32(sure, _mm512_shuffle_epi32(sure, _MM_PERM_CDAB));
    const std::uint32_t has_most = _mm512_cmpeq_epi32_mask(bits0, most) |
                                   static_cast<std::uint32_t>(_mm512_cmpeq_epi32_mask(bits1, most))
                                       << 16;
    const std::uint32_t is_sure =
        _mm512_mask_cmpeq_epi32_mask(reached0, bits0, sure) |
        static_cast<std::uint32_t>(_mm512_mask_cmpeq_epi32_mask(reached1, bits1, sure)) << 16;
    sum[r] = _mm512_cvtss_f32(sums);
    top[r] = static_cast<std::uint32_t>(_mm_cvtsi128_si32(_mm512_castsi512_si128(most)));
    predicted[r] = std::countr_zero(has_most);
    voted[r] = is_sure == 0 ? -1 : std::countr_zero(is_sure);
    const bool is_plain = std::abs(static_cast<double>(sum[r]) - 1) <= kSureSum &&
                          top[r] <= std::bit_cast<std::uint32_t>(1.0F) &&
                          predicted[r] == labels[r] && (voted[r] == labels[r] || voted[r] < 0);
    if (r % 8 == 0) plain[r / 8] = votes[r / 8] = 0;
    const auto bit = static_cast<std::uint8_t>(is_plain ? 1U << (r % 8) : 0U);
    plain[r / 8] |= bit;
    if (voted[r] >= 0) votes[r / 8] |= bit;
  }
}
#endif

}  // namespace

template <>
std::span<const RowReducer<float, std::uint32_t>> RowReducers() {
  static const std::vector<RowReducer<float, std::uint32_t>> reducers = [] {
    std::vector<RowReducer<float, std::uint32_t>> found;
#if defined(__x86_64__)
    if (HasAvx512()) found.push_back({Avx512F32, ShortAvx512});
    if (HasAvx2()) found.push_back({Avx2F32, nullptr});
#endif
    found.push_back({NarrowF32, nullptr});
    return found;
  }();
  return reducers;
}
template <>
std::span<const RowReducer<double, std::uint64_t>> RowReducers() {
  static const std::vector<RowReducer<double, std::uint64_t>> reducers = [] {
    std::vector<RowReducer<double, std::uint64_t>> found;
#if defined(__x86_64__)
    if (HasAvx512()) found.push_back({Avx512F64, ShortAvx512});
    if (HasAvx2()) found.push_back({Avx2F64, nullptr});
#endif
    found.push_back({NarrowF64, nullptr});
    return found;
  }();
  return reducers;
}

}  // namespace tidewheel::labels::internal
