// Activations rounded to bytes, and their products with weights of 8 and 4 bits.

#pragma once

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <limits>
#include <vector>

#include "lanes.h"

namespace {

// Activations as bytes: round(x / scale) + 128 with scale = largest |x| / 127, so that products are u8 x s8.
struct Bytes {
  std::vector<uint8_t> codes;
  std::vector<float> scales;
};

// The largest |value|, or NaN where a value is not finite.
float largest_magnitude(const float* values, int64_t count) {
  Floats largest = {};
  auto not_finite = largest != largest;
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    Floats lanes = load(values + i);
    not_finite |= lanes - lanes != 0;
    lanes = lanes < 0 ? -lanes : lanes;
    largest = lanes > largest ? lanes : largest;
  }
  float result = 0;
  bool finite = true;
  for (int64_t lane = 0; lane < kLanes; ++lane) {
    result = std::max(result, largest[lane]);
    finite = finite && !not_finite[lane];
  }
  for (; i < count; ++i) {
    result = std::max(result, std::fabs(values[i]));
    finite = finite && std::isfinite(values[i]);
  }
  return finite ? result : std::numeric_limits<float>::quiet_NaN();
}

// A row with a value that is not finite has the scale NaN, and thus NaN in all outputs.
Bytes to_bytes(const float* x, int64_t rows, int64_t inputs) {
  Bytes bytes{std::vector<uint8_t>(rows * inputs, 128), std::vector<float>(rows)};
  for (int64_t row = 0; row < rows; ++row) {
    const float* values = x + row * inputs;
    float largest = largest_magnitude(values, inputs);
    float scale = std::isnan(largest) ? largest : std::max(largest, 127e-12f) / 127;
    bytes.scales[row] = scale;
    if (std::isnan(scale)) continue;
    uint8_t* codes = bytes.codes.data() + row * inputs;
    for (int64_t i = 0; i < inputs; ++i)
      codes[i] = static_cast<uint8_t>(static_cast<int32_t>(std::nearbyintf(values[i] / scale)) + 128);
  }
  return bytes;
}

// sums[row][output] of u8 x s8 products in 32 bits, for a tile.
template <int64_t Rows, int64_t Outputs>
inline void byte_tile(const uint8_t* x, const int8_t* weight, int64_t inputs, int32_t (&sums)[kRows][kOutputs]) {
  int64_t done = 0;
#if defined(__AVX512VNNI__)
  __m512i lanes[Rows][Outputs];
#pragma GCC unroll 4
  for (int64_t row = 0; row < Rows; ++row)
#pragma GCC unroll 4
    for (int64_t o = 0; o < Outputs; ++o) lanes[row][o] = _mm512_setzero_si512();
  for (; done + 64 <= inputs; done += 64)
#pragma GCC unroll 4
    for (int64_t o = 0; o < Outputs; ++o) {
      __m512i w = _mm512_loadu_si512(weight + o * inputs + done);
#pragma GCC unroll 4
      for (int64_t row = 0; row < Rows; ++row)
        lanes[row][o] = _mm512_dpbusd_epi32(lanes[row][o], _mm512_loadu_si512(x + row * inputs + done), w);
    }
#endif
#pragma GCC unroll 4
  for (int64_t row = 0; row < Rows; ++row)
#pragma GCC unroll 4
    for (int64_t o = 0; o < Outputs; ++o) {
      int32_t sum = 0;
      for (int64_t i = done; i < inputs; ++i)
        sum += static_cast<int32_t>(x[row * inputs + i]) * static_cast<int32_t>(weight[o * inputs + i]);
#if defined(__AVX512VNNI__)
      sum += _mm512_reduce_add_epi32(lanes[row][o]);
#endif
      sums[row][o] = sum;
    }
}

// Activations as signed bytes in -127..127, and their sum in each group of 32 inputs.
struct SignedBytes {
  std::vector<int8_t> codes;
  std::vector<float> group_sums;
  std::vector<float> scales;
};

SignedBytes to_signed_bytes(const float* x, int64_t rows, int64_t inputs) {
  Bytes bytes = to_bytes(x, rows, inputs);
  SignedBytes result{std::vector<int8_t>(rows * inputs), std::vector<float>(rows * inputs / kGroup), bytes.scales};
  for (int64_t group = 0; group < rows * inputs / kGroup; ++group) {
    int32_t sum = 0;
    for (int64_t i = group * kGroup; i < (group + 1) * kGroup; ++i) {
      result.codes[i] = static_cast<int8_t>(static_cast<int32_t>(bytes.codes[i]) - 128);
      sum += result.codes[i];
    }
    result.group_sums[group] = static_cast<float>(sum);
  }
  return result;
}

// Scale and least weight of each group of an output, from pairs of bfloat16: scale and middle. A weight of 4 bits is
// (code - 8) * scale + middle, thus code * scale + least.
void read_groups(const uint16_t* pairs, int64_t groups, float* scale, float* least) {
  for (int64_t g = 0; g < groups; ++g) {
    scale[g] = widened(pairs[2 * g]);
    least[g] = widened(pairs[2 * g + 1]) - 8 * scale[g];
  }
}

constexpr int64_t kParts = 8;
typedef float Parts __attribute__((vector_size(kParts * 4)));

// The 32 codes of a group in 16 bytes, whose low halves are the first 16 codes.
#if defined(__AVX2__)
struct Nibbles {
  __m256i codes;

  explicit Nibbles(const uint8_t* bytes) {
    __m128i packed = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes));
    codes = _mm256_and_si256(_mm256_set_m128i(_mm_srli_epi16(packed, 4), packed), _mm256_set1_epi8(15));
  }

  // Eight partial sums of the products with 32 signed bytes.
  Parts dot(const int8_t* x) const {
    __m256i values = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x));
#if defined(__AVX512VNNI__) && defined(__AVX512VL__)
    __m256i dots = _mm256_dpbusd_epi32(_mm256_setzero_si256(), codes, values);
#else  // two products of at most 15 * 127 fit 16 bits
    __m256i dots = _mm256_madd_epi16(_mm256_maddubs_epi16(codes, values), _mm256_set1_epi16(1));
#endif
    return reinterpret_cast<Parts>(_mm256_cvtepi32_ps(dots));
  }
};
#else
struct Nibbles {
  const uint8_t* bytes;

  explicit Nibbles(const uint8_t* packed) : bytes(packed) {}

  Parts dot(const int8_t* x) const {
    Parts sums = {};
    for (int64_t part = 0; part < kParts; ++part) {
      int32_t dot = 0;
      for (int64_t i = 4 * part; i < 4 * part + 4; ++i) dot += x[i] * (i < 16 ? bytes[i] & 15 : bytes[i - 16] >> 4);
      sums[part] = static_cast<float>(dot);
    }
    return sums;
  }
};
#endif

// One output of `Rows` rows.
template <int64_t Rows>
inline void nibble_dot(const int8_t* x, const float* group_sums, const uint8_t* weight, const float* scale,
                       const float* least, int64_t groups, float* sums) {
  Parts even[Rows] = {}, odd[Rows] = {};  // sums of their own, so that one group does not wait for the other
  int64_t g = 0;
  for (; g + 2 <= groups; g += 2) {
    Nibbles first(weight + g * kGroup / 2), second(weight + (g + 1) * kGroup / 2);
#pragma GCC unroll 4
    for (int64_t row = 0; row < Rows; ++row) {
      const int8_t* values = x + (row * groups + g) * kGroup;
      even[row] += first.dot(values) * scale[g];
      odd[row] += second.dot(values + kGroup) * scale[g + 1];
    }
  }
  if (g < groups)
#pragma GCC unroll 4
    for (int64_t row = 0; row < Rows; ++row)
      even[row] += Nibbles(weight + g * kGroup / 2).dot(x + (row * groups + g) * kGroup) * scale[g];
#pragma GCC unroll 4
  for (int64_t row = 0; row < Rows; ++row) {
    Parts parts = even[row] + odd[row];
    for (int64_t width = kParts / 2; width > 0; width /= 2)
      for (int64_t part = 0; part < width; ++part) parts[part] += parts[part + width];
    float offset;
    float_tile<1, 1>(group_sums + row * groups, least, groups, groups, &offset, 1);
    sums[row] = parts[0] + offset;
  }
}

}  // namespace
