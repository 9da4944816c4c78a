// Vectors of 16 floats, tiles of a product of few rows, and products of fp32 and bf16 weights.
//
// Legend: x rows of activations, o outputs, i inputs.

#pragma once

#include <ATen/Parallel.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace {

constexpr int64_t kLanes = 16;        // partial sums of an output, added pairwise at the end
constexpr int64_t kRows = 4;          // rows of activations in a tile
constexpr int64_t kOutputs = 4;       // outputs in a tile
constexpr int64_t kLine = 64;         // bytes of a cache line
constexpr int64_t kCache = 16 << 10;  // bytes of activations that stay in the first cache beside the weights
constexpr int64_t kGroup = 32;        // inputs with a common scale in int4
constexpr int64_t kOutputsPerTask = 64;

typedef float Floats __attribute__((vector_size(kLanes * 4)));
typedef uint32_t Words __attribute__((vector_size(kLanes * 4)));
typedef int32_t Integers __attribute__((vector_size(kLanes * 4)));
typedef uint16_t Halves __attribute__((vector_size(kLanes * 2)));

inline Floats load(const float* values) {
  Floats lanes;
  std::memcpy(&lanes, values, sizeof(lanes));
  return lanes;
}

inline Floats load(const uint16_t* bfloat16) {
  Halves halves;
  std::memcpy(&halves, bfloat16, sizeof(halves));
  Words bits = __builtin_convertvector(halves, Words) << 16;
  Floats lanes;
  std::memcpy(&lanes, &bits, sizeof(lanes));
  return lanes;
}

inline float widened(float value) { return value; }

inline float widened(uint16_t bfloat16) {
  uint32_t bits = static_cast<uint32_t>(bfloat16) << 16;
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

inline float sum_of(Floats lanes) {
  for (int64_t width = kLanes / 2; width > 0; width /= 2)
    for (int64_t lane = 0; lane < width; ++lane) lanes[lane] += lanes[lane + width];
  return lanes[0];
}

#ifdef __clang__
#define DIA_SHUFFLED(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define DIA_SHUFFLED(a, b, ...) __builtin_shuffle(a, b, Integers{__VA_ARGS__})
#endif

// The sums of 16 vectors, each in the order of `sum_of`, in one vector: four shuffles a sum instead of a dozen.
inline Floats sums_of(Floats* v) {
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i)
    v[i] = DIA_SHUFFLED(v[i], v[i + 8], 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23) +
           DIA_SHUFFLED(v[i], v[i + 8], 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i)
    v[i] = DIA_SHUFFLED(v[i], v[i + 4], 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27) +
           DIA_SHUFFLED(v[i], v[i + 4], 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31);
#pragma GCC unroll 2
  for (int i = 0; i < 2; ++i)
    v[i] = DIA_SHUFFLED(v[i], v[i + 2], 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29) +
           DIA_SHUFFLED(v[i], v[i + 2], 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
  return DIA_SHUFFLED(v[0], v[1], 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30) +
         DIA_SHUFFLED(v[0], v[1], 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31);
}

// A tile of the product: `Rows` rows of x with `Outputs` rows of weights. Rows of weights are `stride` apart.
// Inputs beyond a multiple of 16 are added last.
template <int64_t Rows, int64_t Outputs, typename Weight>
inline void float_tile(const float* x, const Weight* weight, int64_t stride, int64_t inputs, float* out,
                       int64_t outputs) {
  Floats sums[Rows][Outputs] = {};
  int64_t i = 0;
  for (; i + kLanes <= inputs; i += kLanes)
#pragma GCC unroll 4
    for (int64_t o = 0; o < Outputs; ++o) {
      Floats w = load(weight + o * stride + i);
#pragma GCC unroll 4
      for (int64_t row = 0; row < Rows; ++row) sums[row][o] += load(x + row * inputs + i) * w;
    }
#pragma GCC unroll 4
  for (int64_t row = 0; row < Rows; ++row)
#pragma GCC unroll 4
    for (int64_t o = 0; o < Outputs; ++o) {
      float sum = sum_of(sums[row][o]);
      for (int64_t rest = i; rest < inputs; ++rest)
        sum += x[row * inputs + rest] * widened(weight[o * stride + rest]);
      out[row * outputs + o] = sum;
    }
}

// Calls tile(row, output, rows, outputs) for all tiles of a range of outputs; both counts are compile-time constants.
// Tiles of a single output read the weights as they lie in memory; those of several share what they load of activations.
template <typename Tile>
inline void for_each_tile(int64_t rows, int64_t first, int64_t last, bool single_output, Tile&& tile) {
  auto with_outputs = [&](auto outputs, int64_t o) {
    int64_t row = 0;
    for (; row + kRows <= rows; row += kRows) tile(row, o, std::integral_constant<int64_t, kRows>{}, outputs);
    for (; row + 2 <= rows; row += 2) tile(row, o, std::integral_constant<int64_t, 2>{}, outputs);
    for (; row < rows; ++row) tile(row, o, std::integral_constant<int64_t, 1>{}, outputs);
  };
  int64_t o = first;
  for (; !single_output && o + kOutputs <= last; o += kOutputs) with_outputs(std::integral_constant<int64_t, kOutputs>{}, o);
  for (; o < last; ++o) with_outputs(std::integral_constant<int64_t, 1>{}, o);
}

template <typename Weight>
void float_product(const float* x, const Weight* weights, float* out, int64_t rows, int64_t inputs, int64_t outputs) {
  at::parallel_for(0, outputs, kOutputsPerTask, [&](int64_t first, int64_t last) {
    bool fits = rows * inputs * static_cast<int64_t>(sizeof(float)) <= kCache;
    for_each_tile(rows, first, last, fits, [&](int64_t row, int64_t o, auto tile_rows, auto tile_outputs) {
      float_tile<tile_rows, tile_outputs>(x + row * inputs, weights + o * inputs, inputs, inputs, out + row * outputs + o,
                                          outputs);
    });
  });
}

}  // namespace
