// Products of activations in bytes with weights of 4 bits.
//
// A group of 32 weights has 16 bytes, whose low halves are its first 16 weights, and a pair of bfloat16: scale and middle.
// A weight is (code - 8) * scale + middle. Four groups are a block: 64 bytes of weights are two vectors of codes, of the
// first and of the second 16 weights of each group, and activations lie in that order.

#pragma once

#include "integers.h"

namespace {

constexpr int64_t kHalf = kGroup / 2;
constexpr int64_t kBlock = 4;  // groups

// Activations as signed bytes in -127..127, ordered in blocks, and their sum in each group.
struct SignedBytes {
  Lines<int8_t> codes;
  Lines<float> group_sums;
  std::vector<float> scales;
};

// Place of the first (half 0) or second 16 activations of a group in a row of `groups`. The last block may be smaller.
inline int64_t place_of(int64_t group, int64_t half, int64_t groups) {
  int64_t first = group / kBlock * kBlock, size = std::min(kBlock, groups - first);
  return first * kGroup + half * size * kHalf + (group - first) * kHalf;
}

SignedBytes to_signed_bytes(const float* x, int64_t rows, int64_t inputs) {
  Bytes bytes = to_bytes(x, rows, inputs);
  int64_t groups = inputs / kGroup;
  SignedBytes result{Lines<int8_t>(rows * inputs), Lines<float>(rows * groups), bytes.scales};
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t group = 0; group < groups; ++group) {
      int32_t sum = 0;
      for (int64_t half = 0; half < 2; ++half) {
        const uint8_t* from = bytes.codes.data() + row * inputs + group * kGroup + half * kHalf;
        int8_t* to = result.codes.data() + row * inputs + place_of(group, half, groups);
        for (int64_t i = 0; i < kHalf; ++i) {
          to[i] = static_cast<int8_t>(static_cast<int32_t>(from[i]) - 128);
          sum += to[i];
        }
      }
      result.group_sums.data()[row * groups + group] = static_cast<float>(sum);
    }
  return result;
}

// The product of a group's codes, in 16 bytes, with its 32 activations.
inline int32_t group_dot(const uint8_t* bytes, const int8_t* first, const int8_t* second) {
#if defined(__AVX2__)  // two products of at most 15 * 127 fit 16 bits
  __m128i packed = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes)), low = _mm_set1_epi8(15);
  __m128i ones = _mm_set1_epi16(1), sums;
  auto products = [&](__m128i codes, const int8_t* x) {
    __m128i values = _mm_loadu_si128(reinterpret_cast<const __m128i*>(x));
    return _mm_madd_epi16(_mm_maddubs_epi16(codes, values), ones);
  };
  sums = _mm_add_epi32(products(_mm_and_si128(packed, low), first),
                       products(_mm_and_si128(_mm_srli_epi16(packed, 4), low), second));
  sums = _mm_add_epi32(sums, _mm_shuffle_epi32(sums, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(sums, _mm_shuffle_epi32(sums, 0xb1)));
#else
  int32_t dot = 0;
  for (int64_t i = 0; i < kHalf; ++i) dot += first[i] * (bytes[i] & 15) + second[i] * (bytes[i] >> 4);
  return dot;
#endif
}

#if defined(__AVX512VNNI__)
constexpr int64_t kPairs = 16;  // groups whose scales fill a vector

struct Scales {
  __m512 scale, least;  // a weight is code * scale + least

  explicit Scales(const uint16_t* pairs) {
    __m512i words = _mm512_loadu_si512(pairs);
    scale = _mm512_castsi512_ps(_mm512_slli_epi32(words, 16));
    __m512 middle = _mm512_castsi512_ps(_mm512_and_si512(words, _mm512_set1_epi32(0xffff0000)));
    least = _mm512_fnmadd_ps(_mm512_set1_ps(8), scale, middle);
  }
};

// Adds the products of the block of four groups at `weight`, whose scales are four of `scales` from `first_scale` on.
// Lanes 4 j to 4 j + 3 of the sums belong to group j of the block.
template <int64_t Rows>
inline void add_block(const int8_t* x, int64_t inputs, const uint8_t* weight, __m512 scales, int64_t first_scale,
                      __m512 (&sums)[Rows]) {
  __m512i bytes = _mm512_loadu_si512(weight), low = _mm512_set1_epi8(15);
  __m512i first = _mm512_and_si512(bytes, low), second = _mm512_and_si512(_mm512_srli_epi16(bytes, 4), low);
  __m512i lane = _mm512_set_epi32(3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0);
  __m512 scale = _mm512_permutexvar_ps(_mm512_add_epi32(lane, _mm512_set1_epi32(first_scale)), scales);
#pragma GCC unroll 4
  for (int64_t row = 0; row < Rows; ++row) {
    const int8_t* values = x + row * inputs;
    __m512i dots = _mm512_dpbusd_epi32(_mm512_setzero_si512(), first, _mm512_loadu_si512(values));
    dots = _mm512_dpbusd_epi32(dots, second, _mm512_loadu_si512(values + kBlock * kHalf));
    sums[row] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots), scale, sums[row]);
  }
}

// Sums of one output over the groups that fill whole vectors of scales; even and odd blocks have sums of their own, so
// that a product does not wait for the one before it.
template <int64_t Rows>
inline void add_output(const int8_t* x, const float* group_sums, const uint8_t* weight, const uint16_t* pairs,
                       int64_t groups, __m512 (&sums)[Rows]) {
  __m512 odd[Rows];
  int64_t inputs = groups * kGroup;
#pragma GCC unroll 4
  for (int64_t row = 0; row < Rows; ++row) sums[row] = odd[row] = _mm512_setzero_ps();
  for (int64_t g = 0; g + kPairs <= groups; g += kPairs) {
    Scales scales(pairs + g * 2);
#pragma GCC unroll 4
    for (int64_t row = 0; row < Rows; ++row)
      odd[row] = _mm512_fmadd_ps(_mm512_loadu_ps(group_sums + row * groups + g), scales.least, odd[row]);
#pragma GCC unroll 4
    for (int64_t block = 0; block < kPairs / kBlock; ++block) {
      int64_t group = g + block * kBlock;
      add_block<Rows>(x + group * kGroup, inputs, weight + group * kHalf, scales.scale, block * kBlock,
                      block % 2 ? odd : sums);
    }
  }
#pragma GCC unroll 4
  for (int64_t row = 0; row < Rows; ++row) sums[row] = _mm512_add_ps(sums[row], odd[row]);
}
#endif

// sums[row][output] of a tile, to be multiplied with the scale of the activations.
template <int64_t Rows, int64_t Outputs>
inline void nibble_tile(const int8_t* x, const float* group_sums, const uint8_t* weight, const uint16_t* pairs,
                        int64_t groups, float (&result)[kRows][kOutputs]) {
  int64_t inputs = groups * kGroup, done = 0;
#if defined(__AVX512VNNI__)
  __m512 sums[Outputs][Rows];
  done = groups / kPairs * kPairs;
#pragma GCC unroll 4
  for (int64_t o = 0; o < Outputs; ++o)
    add_output<Rows>(x, group_sums, weight + o * inputs / 2, pairs + o * groups * 2, groups, sums[o]);
#endif
#pragma GCC unroll 4
  for (int64_t o = 0; o < Outputs; ++o)
#pragma GCC unroll 4
    for (int64_t row = 0; row < Rows; ++row) {
#if defined(__AVX512VNNI__)
      result[row][o] = _mm512_reduce_add_ps(sums[o][row]);
#else
      result[row][o] = 0;
#endif
    }
  for (int64_t o = 0; o < Outputs; ++o)
    for (int64_t g = done; g < groups; ++g) {
      const uint16_t* pair = pairs + (o * groups + g) * 2;
      float scale = widened(pair[0]), least = widened(pair[1]) - 8 * scale;
      int64_t first = place_of(g, 0, groups), second = place_of(g, 1, groups);
      for (int64_t row = 0; row < Rows; ++row) {
        const int8_t* values = x + row * inputs;
        int32_t dot = group_dot(weight + o * inputs / 2 + g * kHalf, values + first, values + second);
        result[row][o] += static_cast<float>(dot) * scale + group_sums[row * groups + g] * least;
      }
    }
}

}  // namespace
