// Softmax attention of a few steps to a key-value cache in fp32 or bf16.

#pragma once

#include <ATen/core/Tensor.h>

#include <limits>
#include <vector>

#include "lanes.h"

namespace {

using at::Tensor;

inline void store(float value, float* out) { *out = value; }

inline void store(float value, at::BFloat16* out) { *out = value; }

inline const float* bits(const float* values) { return values; }

inline const uint16_t* bits(const at::BFloat16* values) { return reinterpret_cast<const uint16_t*>(values); }

// The place of a head's first step, and the distance of two steps, in a tensor (B, heads, T, H).
template <typename Value>
struct Head {
  Value* start;
  int64_t stride;

  template <typename Any>
  Head(Any& tensor, Value* data, int64_t b, int64_t head)
      : start(data + b * tensor.stride(0) + head * tensor.stride(1)), stride(tensor.stride(2)) {}

  Value* step(int64_t t) const { return start + t * stride; }
};

// Turns products into weights that are not yet divided by their sum, and returns the sum; 0 where nothing is visible.
inline float exponentials(const bool* visible, int64_t steps, float* weights) {
  float largest = -std::numeric_limits<float>::infinity(), total = 0;
  for (int64_t s = 0; s < steps; ++s)
    if (visible[s]) largest = weights[s] > largest || std::isnan(weights[s]) ? weights[s] : largest;
  for (int64_t s = 0; s < steps; ++s) {
    weights[s] = visible[s] ? std::exp(weights[s] - largest) : 0.0f;
    total += weights[s];
  }
  return total;
}

// Adds the weighted values of the visible steps to `Vectors` times 16 features from `h` on, for `Rows` queries.
template <int64_t Rows, int64_t Vectors, typename Value>
inline void mix(const float* weights, int64_t stride, const Head<const Value>& values, const bool* visible, int64_t steps,
                int64_t h, int64_t width, float* out) {
  Floats sums[Rows][Vectors] = {};
  for (int64_t s = 0; s < steps; ++s) {
    if (!visible[s]) continue;
    auto value = bits(values.step(s)) + h;
#pragma GCC unroll 4
    for (int64_t v = 0; v < Vectors; ++v) {
      Floats lanes = load(value + v * kLanes);
#pragma GCC unroll 4
      for (int64_t row = 0; row < Rows; ++row) sums[row][v] += lanes * weights[row * stride + s];
    }
  }
#pragma GCC unroll 4
  for (int64_t row = 0; row < Rows; ++row)
#pragma GCC unroll 4
    for (int64_t v = 0; v < Vectors; ++v) std::memcpy(out + row * width + h + v * kLanes, &sums[row][v], sizeof(Floats));
}

// Softmax attention of `Rows` queries (Rows, H) that share keys, over the steps that `visible` marks; others are skipped, so
// that they change no bit. `weights` has room for Rows x steps numbers.
template <int64_t Rows, typename Value>
void attend_to_head(const float* queries, const Head<const Value>& keys, const Head<const Value>& values,
                    const bool* visible, int64_t steps, int64_t width, float* weights, float* out) {
  int64_t s = 0;
  for (; s + 4 <= steps; s += 4)
    if (visible[s] || visible[s + 1] || visible[s + 2] || visible[s + 3])
      float_tile<Rows, 4>(queries, bits(keys.step(s)), keys.stride, width, weights + s, steps);
  for (; s < steps; ++s) float_tile<Rows, 1>(queries, bits(keys.step(s)), keys.stride, width, weights + s, steps);
  float totals[Rows];
  for (int64_t row = 0; row < Rows; ++row) totals[row] = exponentials(visible, steps, weights + row * steps);
  int64_t h = 0;
  for (; h + 4 * kLanes <= width; h += 4 * kLanes)
    mix<Rows, 4>(weights, steps, values, visible, steps, h, width, out);
  for (; h + kLanes <= width; h += kLanes) mix<Rows, 1>(weights, steps, values, visible, steps, h, width, out);
  for (int64_t row = 0; row < Rows; ++row) {
    for (int64_t rest = h; rest < width; ++rest) {
      float sum = 0;
      for (int64_t step = 0; step < steps; ++step)
        if (visible[step]) sum += widened(bits(values.step(step))[rest]) * weights[row * steps + step];
      out[row * width + rest] = sum;
    }
    for (int64_t place = 0; place < width; ++place) out[row * width + place] /= totals[row];
  }
}

// Queries of neighbouring heads share keys: up to four of them read these together.
template <typename Value, typename Stored>
void attend_all(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask, Tensor& out) {
  int64_t heads = q.size(1), steps = q.size(2), width = q.size(3), keys = k.size(2), shared = heads / k.size(1);
  int64_t together = shared % 4 == 0 ? 4 : 1, groups = heads / together;
  const Value* queries = q.const_data_ptr<Value>();
  const Stored *key_data = k.const_data_ptr<Stored>(), *value_data = v.const_data_ptr<Stored>();
  const bool* visible = mask.const_data_ptr<bool>();
  Value* out_data = out.mutable_data_ptr<Value>();
  at::parallel_for(0, q.size(0) * groups, 1, [&](int64_t first, int64_t last) {
    std::vector<float> weights(together * keys), query(together * width), mixed(together * width);
    for (int64_t place = first; place < last; ++place) {
      int64_t b = place / groups, head = place % groups * together;
      Head<const Stored> key_head(k, key_data, b, head / shared), value_head(v, value_data, b, head / shared);
      for (int64_t t = 0; t < steps; ++t) {
        for (int64_t row = 0; row < together; ++row) {
          const Value* values = Head<const Value>(q, queries, b, head + row).step(t);
          for (int64_t h = 0; h < width; ++h) query[row * width + h] = widened(bits(values)[h]);
        }
        const bool* seen = visible + b * mask.stride(0) + t * mask.stride(1);
        if (together == 4)
          attend_to_head<4>(query.data(), key_head, value_head, seen, keys, width, weights.data(), mixed.data());
        else
          attend_to_head<1>(query.data(), key_head, value_head, seen, keys, width, weights.data(), mixed.data());
        for (int64_t row = 0; row < together; ++row) {
          Value* results = Head<Value>(out, out_data, b, head + row).step(t);
          for (int64_t h = 0; h < width; ++h) store(mixed[row * width + h], results + h);
        }
      }
    }
  });
}

}  // namespace
