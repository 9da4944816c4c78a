// Softmax attention of a few steps to a key-value cache in fp32 or bf16.

#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>
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

// exp of numbers up to 0, or of NaN, to 2 units in the last place: 2^n times a polynomial of the rest (Cephes, expf).
inline Floats exponential(Floats x) {
  constexpr float kLeast = -87.0f, kRound = 12582912.0f;  // below it the result is 0; 1.5 * 2^23 rounds to integers
  Floats least = Floats{} + kLeast, bounded = x < least ? least : x;
  Floats n = (bounded * 1.44269504f + kRound) - kRound;
  Floats r = bounded - n * 0.693359375f + n * 2.12194440e-4f;
  Floats y = r * 1.9875691500e-4f + 1.3981999507e-3f;
  y = y * r + 8.3334519073e-3f;
  y = y * r + 4.1665795894e-2f;
  y = y * r + 1.6666665459e-1f;
  y = y * r + 5.0000001201e-1f;
  y = y * r * r + r + 1.0f;
  Integers powers = (__builtin_convertvector(n, Integers) + 127) << 23;
  Floats scale;
  std::memcpy(&scale, &powers, sizeof(scale));
  return x < least ? Floats{} : y * scale;
}

// Products of up to 16 keys from `s` on, of which `visible` marks some; minus infinity stands for the others.
inline Floats visible_products(const bool* visible, int64_t s, int64_t steps, const float* products) {
  static const bool kAll[kLanes] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
  if (s + kLanes <= steps && std::memcmp(visible + s, kAll, kLanes) == 0) return load(products + s);
  Floats lanes = Floats{} - std::numeric_limits<float>::infinity();
  for (int64_t lane = 0; lane < kLanes && s + lane < steps; ++lane)
    if (visible[s + lane]) lanes[lane] = products[s + lane];
  return lanes;
}

// Turns products into weights that are not yet divided by their sum, and returns the sum; 0 where nothing is visible. The
// sum has 16 parts, to which keys that are not visible add 0: their number changes no bit.
inline float exponentials(const bool* visible, int64_t steps, float* weights) {
  Floats maxima = Floats{} - std::numeric_limits<float>::infinity(), parts = {};
  for (int64_t s = 0; s < steps; s += kLanes) {
    Floats lanes = visible_products(visible, s, steps, weights);
    maxima = (lanes > maxima) | (lanes != lanes) ? lanes : maxima;
  }
  float largest = maxima[0];
  for (int64_t lane = 1; lane < kLanes; ++lane)
    if (maxima[lane] > largest || std::isnan(maxima[lane])) largest = maxima[lane];
  if (largest == -std::numeric_limits<float>::infinity()) largest = 0;  // nothing is visible: all weights are 0
  for (int64_t s = 0; s < steps; s += kLanes) {
    Floats lanes = exponential(visible_products(visible, s, steps, weights) - largest);
    std::memcpy(weights + s, &lanes, sizeof(float) * std::min(kLanes, steps - s));
    parts += lanes;
  }
  return sum_of(parts);
}

// Products of `Rows` queries with the keys from `s` on, as many as fill a vector; `out` has a row of `stride` for each query.
template <int64_t Rows, typename Value>
inline void multiply_keys(const float* queries, const Head<const Value>& keys, int64_t s, int64_t steps, int64_t width,
                          float* out, int64_t stride) {
  constexpr int64_t kKeys = kLanes / Rows;
  decltype(bits(keys.start)) key[kKeys];
  for (int64_t k = 0; k < kKeys; ++k) key[k] = bits(keys.step(std::min(s + k, steps - 1)));
  Floats sums[kLanes] = {};
  int64_t h = 0;
#pragma GCC unroll 4
  for (int64_t first = 0; first < kKeys; first += 4)  // four keys at a time lie close enough together in memory
    for (h = 0; h + kLanes <= width; h += kLanes) {
      Floats query[Rows];
      for (int64_t row = 0; row < Rows; ++row) query[row] = load(queries + row * width + h);
#pragma GCC unroll 4
      for (int64_t k = first; k < first + 4; ++k) {
        Floats lanes = load(key[k] + h);
#pragma GCC unroll 4
        for (int64_t row = 0; row < Rows; ++row) sums[row * kKeys + k] += query[row] * lanes;
      }
    }
  Floats products = sums_of(sums);
  for (int64_t row = 0; row < Rows; ++row)
    for (int64_t k = 0; k < kKeys && s + k < steps; ++k) {
      float product = products[row * kKeys + k];
      for (int64_t rest = h; rest < width; ++rest) product += queries[row * width + rest] * widened(key[k][rest]);
      out[row * stride + s + k] = product;
    }
}

// Adds the weighted values of the visible steps to `Vectors` times 16 features from `h` on, for `Rows` queries. The sums have
// `Parts` parts by step, so that the additions of a sum need not wait for each other.
template <int64_t Rows, int64_t Vectors, int64_t Parts, typename Value>
inline void mix(const float* weights, int64_t stride, const Head<const Value>& values, const bool* visible, int64_t steps,
                int64_t h, int64_t width, float* out) {
  Floats sums[Parts][Rows][Vectors] = {};
  for (int64_t first = 0; first < steps; first += Parts)
#pragma GCC unroll 4
    for (int64_t part = 0; part < Parts; ++part) {
      int64_t s = first + part;
      if (s >= steps || !visible[s]) continue;
      auto value = bits(values.step(s)) + h;
#pragma GCC unroll 4
      for (int64_t v = 0; v < Vectors; ++v) {
        Floats lanes = load(value + v * kLanes);
#pragma GCC unroll 4
        for (int64_t row = 0; row < Rows; ++row) sums[part][row][v] += lanes * weights[row * stride + s];
      }
    }
  for (int64_t row = 0; row < Rows; ++row)
    for (int64_t v = 0; v < Vectors; ++v) {
      for (int64_t part = 1; part < Parts; ++part) sums[0][row][v] += sums[part][row][v];
      std::memcpy(out + row * width + h + v * kLanes, &sums[0][row][v], sizeof(Floats));
    }
}

// Softmax attention of `Rows` queries (Rows, H) that share keys, over the steps that `visible` marks; others are skipped, so
// that they change no bit. `weights` has room for Rows x steps numbers.
template <int64_t Rows, typename Value>
void attend_to_head(const float* queries, const Head<const Value>& keys, const Head<const Value>& values,
                    const bool* visible, int64_t steps, int64_t width, float* weights, float* out) {
  constexpr int64_t kKeys = kLanes / Rows;
  for (int64_t s = 0; s < steps; s += kKeys)
    if (std::memchr(visible + s, true, std::min(kKeys, steps - s)) != nullptr)
      multiply_keys<Rows>(queries, keys, s, steps, width, weights, steps);
  float totals[Rows];
  for (int64_t row = 0; row < Rows; ++row) totals[row] = exponentials(visible, steps, weights + row * steps);
  int64_t h = 0;
  constexpr int64_t kParts = Rows == 1 ? 2 : 1;
  for (; h + 4 * kLanes <= width; h += 4 * kLanes)
    mix<Rows, 4, kParts>(weights, steps, values, visible, steps, h, width, out);
  for (; h + 2 * kLanes <= width; h += 2 * kLanes)
    mix<Rows, 2, 2 * kParts>(weights, steps, values, visible, steps, h, width, out);
  for (; h + kLanes <= width; h += kLanes) mix<Rows, 1, 2 * kParts>(weights, steps, values, visible, steps, h, width, out);
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
