// Activations rounded to bytes, and their products with weights of 8 bits.

#pragma once

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <cstdlib>
#include <limits>
#include <memory>
#include <vector>

#include "lanes.h"

namespace {

// Memory that starts at a cache line: a vector that lies across two lines takes two loads.
template <typename Value>
struct Lines {
  std::unique_ptr<Value[], decltype(&std::free)> memory;

  explicit Lines(int64_t count)
      : memory(static_cast<Value*>(std::aligned_alloc(kLine, (count * sizeof(Value) + kLine - 1) / kLine * kLine)), &std::free) {
    if (!memory) throw std::bad_alloc();
  }

  Value* data() const { return memory.get(); }
};

// Activations as bytes: round(x / scale) + 128 with scale = largest |x| / 127, so that products are u8 x s8.
struct Bytes {
  Lines<uint8_t> codes;
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
  Bytes bytes{Lines<uint8_t>(rows * inputs), std::vector<float>(rows)};
  for (int64_t row = 0; row < rows; ++row) {
    const float* values = x + row * inputs;
    float largest = largest_magnitude(values, inputs);
    float scale = std::isnan(largest) ? largest : std::max(largest, 127e-12f) / 127;
    bytes.scales[row] = scale;
    uint8_t* codes = bytes.codes.data() + row * inputs;
    if (std::isnan(scale)) {
      std::fill(codes, codes + inputs, 128);
      continue;
    }
    for (int64_t i = 0; i < inputs; ++i)
      codes[i] = static_cast<uint8_t>(static_cast<int32_t>(std::nearbyintf(values[i] / scale)) + 128);
  }
  return bytes;
}

#if defined(__AVX512VNNI__)
// Sums of one output, of even and of odd vectors of 64 inputs, so that a product does not wait for the one before it.
template <int64_t Rows>
inline void add_output(const uint8_t* x, const int8_t* weight, int64_t inputs, __m512i (&sums)[Rows]) {
  __m512i odd[Rows];
#pragma GCC unroll 4
  for (int64_t row = 0; row < Rows; ++row) sums[row] = odd[row] = _mm512_setzero_si512();
  auto add = [&](int64_t i, __m512i(&lanes)[Rows]) {
    __m512i w = _mm512_loadu_si512(weight + i);
#pragma GCC unroll 4
    for (int64_t row = 0; row < Rows; ++row)
      lanes[row] = _mm512_dpbusd_epi32(lanes[row], _mm512_loadu_si512(x + row * inputs + i), w);
  };
  int64_t i = 0;
  for (; i + 128 <= inputs; i += 128) {
    add(i, sums);
    add(i + 64, odd);
  }
  if (i + 64 <= inputs) add(i, sums);
#pragma GCC unroll 4
  for (int64_t row = 0; row < Rows; ++row) sums[row] = _mm512_add_epi32(sums[row], odd[row]);
}
#endif

// sums[row][output] of u8 x s8 products in 32 bits, for a tile. Few rows read the weights of one output after another,
// as they lie in memory; many rows share what they load among the outputs.
template <int64_t Rows, int64_t Outputs>
inline void byte_tile(const uint8_t* x, const int8_t* weight, int64_t inputs, int32_t (&sums)[kRows][kOutputs]) {
  int64_t done = 0;
#if defined(__AVX512VNNI__)
  __m512i lanes[Outputs][Rows];
  done = inputs / 64 * 64;
  if constexpr (Rows < kRows) {
#pragma GCC unroll 4
    for (int64_t o = 0; o < Outputs; ++o) add_output<Rows>(x, weight + o * inputs, inputs, lanes[o]);
  } else {
#pragma GCC unroll 4
    for (int64_t o = 0; o < Outputs; ++o)
#pragma GCC unroll 4
      for (int64_t row = 0; row < Rows; ++row) lanes[o][row] = _mm512_setzero_si512();
    for (int64_t i = 0; i < done; i += 64)
#pragma GCC unroll 4
      for (int64_t o = 0; o < Outputs; ++o) {
        __m512i w = _mm512_loadu_si512(weight + o * inputs + i);
#pragma GCC unroll 4
        for (int64_t row = 0; row < Rows; ++row)
          lanes[o][row] = _mm512_dpbusd_epi32(lanes[o][row], _mm512_loadu_si512(x + row * inputs + i), w);
      }
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
      sum += _mm512_reduce_add_epi32(lanes[o][row]);
#endif
      sums[row][o] = sum;
    }
}

}  // namespace
