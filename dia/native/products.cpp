// Products of a few rows of activations with weights that are read once, and attention of a few steps to a cache: a
// decoder step is bound by their bytes.
//
// Weights lie row by row as torch has them (outputs x inputs). Each thread multiplies its own outputs with all rows, so
// that every weight is read from memory once. The order of the sums depends on the shape of the weights only: a row gets
// the same bits in any batch and with any number of threads.
//
// Legend: B rows, I inputs, O outputs, G groups of 32 inputs.

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif
#if defined(__linux__)
#include <sys/mman.h>
#endif

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <vector>

namespace {

constexpr int64_t kLanes = 16;        // partial sums of an output, added pairwise at the end
constexpr int64_t kRows = 4;          // rows of activations in a tile
constexpr int64_t kOutputs = 4;       // outputs in a tile
constexpr int64_t kCache = 16 << 10;  // bytes of activations that stay in the first cache beside the weights
constexpr int64_t kGroup = 32;        // inputs with a common scale in int4
constexpr int64_t kOutputsPerTask = 64;

using at::Tensor;

typedef float Floats __attribute__((vector_size(kLanes * 4)));
typedef uint32_t Words __attribute__((vector_size(kLanes * 4)));
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

// A tile of the product: `Rows` rows of x with `Outputs` rows of weights. Inputs beyond a multiple of 16 are added last.
template <int64_t Rows, int64_t Outputs, typename Weight>
inline void float_tile(const float* x, const Weight* weight, int64_t inputs, float* out, int64_t outputs) {
  Floats sums[Rows][Outputs] = {};
  int64_t i = 0;
  for (; i + kLanes <= inputs; i += kLanes)
#pragma GCC unroll 4
    for (int64_t o = 0; o < Outputs; ++o) {
      Floats w = load(weight + o * inputs + i);
#pragma GCC unroll 4
      for (int64_t row = 0; row < Rows; ++row) sums[row][o] += load(x + row * inputs + i) * w;
    }
#pragma GCC unroll 4
  for (int64_t row = 0; row < Rows; ++row)
#pragma GCC unroll 4
    for (int64_t o = 0; o < Outputs; ++o) {
      float sum = sum_of(sums[row][o]);
      for (int64_t rest = i; rest < inputs; ++rest)
        sum += x[row * inputs + rest] * widened(weight[o * inputs + rest]);
      out[row * outputs + o] = sum;
    }
}

// Calls tile(row, output, rows, outputs) for all tiles of a range of outputs; both counts are compile-time constants.
template <typename Tile>
inline void for_each_tile(int64_t rows, int64_t first, int64_t last, bool rows_fit_in_cache, Tile&& tile) {
  auto with_outputs = [&](auto outputs, int64_t o) {
    int64_t row = 0;
    for (; row + kRows <= rows; row += kRows) tile(row, o, std::integral_constant<int64_t, kRows>{}, outputs);
    for (; row + 2 <= rows; row += 2) tile(row, o, std::integral_constant<int64_t, 2>{}, outputs);
    for (; row < rows; ++row) tile(row, o, std::integral_constant<int64_t, 1>{}, outputs);
  };
  int64_t o = first;
  for (; !rows_fit_in_cache && o + kOutputs <= last; o += kOutputs) with_outputs(std::integral_constant<int64_t, kOutputs>{}, o);
  for (; o < last; ++o) with_outputs(std::integral_constant<int64_t, 1>{}, o);
}

template <typename Weight>
void float_product(const float* x, const Weight* weights, float* out, int64_t rows, int64_t inputs, int64_t outputs) {
  at::parallel_for(0, outputs, kOutputsPerTask, [&](int64_t first, int64_t last) {
    for_each_tile(rows, first, last, rows * inputs * sizeof(float) <= kCache, [&](int64_t row, int64_t o, auto tile_rows, auto tile_outputs) {
      float_tile<tile_rows, tile_outputs>(x + row * inputs, weights + o * inputs, inputs, out + row * outputs + o,
                                          outputs);
    });
  });
}

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
    float_tile<1, 1>(group_sums + row * groups, least, groups, &offset, 1);
    sums[row] = parts[0] + offset;
  }
}

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

// The products of `Rows` queries with `Keys` keys, for steps from `first` on: weights[row * stride + step].
template <int64_t Rows, int64_t Keys, typename Value>
inline void score(const float* queries, const Head<const Value>& keys, int64_t width, int64_t first, int64_t stride,
                  float* weights) {
  Floats sums[Rows][Keys] = {};
  int64_t h = 0;
  for (; h + kLanes <= width; h += kLanes)
#pragma GCC unroll 4
    for (int64_t k = 0; k < Keys; ++k) {
      Floats key = load(bits(keys.step(first + k)) + h);
#pragma GCC unroll 4
      for (int64_t row = 0; row < Rows; ++row) sums[row][k] += load(queries + row * width + h) * key;
    }
#pragma GCC unroll 4
  for (int64_t row = 0; row < Rows; ++row)
#pragma GCC unroll 4
    for (int64_t k = 0; k < Keys; ++k) {
      float sum = sum_of(sums[row][k]);
      for (int64_t rest = h; rest < width; ++rest)
        sum += queries[row * width + rest] * widened(bits(keys.step(first + k))[rest]);
      weights[row * stride + first + k] = sum;
    }
}

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
      score<Rows, 4>(queries, keys, width, s, steps, weights);
  for (; s < steps; ++s) score<Rows, 1>(queries, keys, width, s, steps, weights);
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
template <typename Value>
void attend_all(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask, Tensor& out) {
  int64_t heads = q.size(1), steps = q.size(2), width = q.size(3), keys = k.size(2), shared = heads / k.size(1);
  int64_t together = shared % 4 == 0 ? 4 : 1, groups = heads / together;
  const Value *queries = q.const_data_ptr<Value>(), *key_data = k.const_data_ptr<Value>();
  const Value* value_data = v.const_data_ptr<Value>();
  const bool* visible = mask.const_data_ptr<bool>();
  Value* out_data = out.mutable_data_ptr<Value>();
  at::parallel_for(0, q.size(0) * groups, 1, [&](int64_t first, int64_t last) {
    std::vector<float> weights(together * keys), query(together * width), mixed(together * width);
    for (int64_t place = first; place < last; ++place) {
      int64_t b = place / groups, head = place % groups * together;
      Head<const Value> key_head(k, key_data, b, head / shared), value_head(v, value_data, b, head / shared);
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

Tensor linear_fp32(const Tensor& any_BI, const Tensor& weight_OI) {
  Tensor x_BI = any_BI.contiguous();
  int64_t rows = x_BI.size(0), inputs = x_BI.size(1), outputs = weight_OI.size(0);
  Tensor out_BO = at::empty({rows, outputs}, x_BI.options());
  float_product(x_BI.const_data_ptr<float>(), weight_OI.const_data_ptr<float>(), out_BO.mutable_data_ptr<float>(), rows,
                inputs, outputs);
  return out_BO;
}

Tensor linear_bf16(const Tensor& any_BI, const Tensor& weight_OI) {
  Tensor x_BI = any_BI.contiguous();
  int64_t rows = x_BI.size(0), inputs = x_BI.size(1), outputs = weight_OI.size(0);
  Tensor out_BO = at::empty({rows, outputs}, x_BI.options());
  const auto* weights = reinterpret_cast<const uint16_t*>(weight_OI.const_data_ptr<at::BFloat16>());
  float_product(x_BI.const_data_ptr<float>(), weights, out_BO.mutable_data_ptr<float>(), rows, inputs, outputs);
  return out_BO;
}

Tensor linear_int8(const Tensor& any_BI, const Tensor& codes_OI, const Tensor& scale_O, const Tensor& sum_O) {
  Tensor x_BI = any_BI.contiguous();
  int64_t rows = x_BI.size(0), inputs = x_BI.size(1), outputs = codes_OI.size(0);
  Tensor out_BO = at::empty({rows, outputs}, x_BI.options());
  Bytes bytes = to_bytes(x_BI.const_data_ptr<float>(), rows, inputs);
  const int8_t* weights = codes_OI.const_data_ptr<int8_t>();
  const float* scales = scale_O.const_data_ptr<float>();
  const int32_t* totals = sum_O.const_data_ptr<int32_t>();
  float* out = out_BO.mutable_data_ptr<float>();
  at::parallel_for(0, outputs, kOutputsPerTask, [&](int64_t first, int64_t last) {
    for_each_tile(rows, first, last, rows * inputs <= kCache, [&](int64_t row, int64_t o, auto tile_rows, auto tile_outputs) {
      int32_t sums[kRows][kOutputs];
      byte_tile<tile_rows, tile_outputs>(bytes.codes.data() + row * inputs, weights + o * inputs, inputs, sums);
      for (int64_t r = row; r < row + tile_rows; ++r)
        for (int64_t p = o; p < o + tile_outputs; ++p)
          out[r * outputs + p] = static_cast<float>(sums[r - row][p - o] - 128 * totals[p]) * scales[p] * bytes.scales[r];
    });
  });
  return out_BO;
}

Tensor linear_int4(const Tensor& any_BI, const Tensor& packed_OJ, const Tensor& pairs_OG2) {
  Tensor x_BI = any_BI.contiguous();
  int64_t rows = x_BI.size(0), inputs = x_BI.size(1), outputs = packed_OJ.size(0), groups = inputs / kGroup;
  TORCH_CHECK(inputs % kGroup == 0, "the number of inputs must be a multiple of ", kGroup);
  Tensor out_BO = at::empty({rows, outputs}, x_BI.options());
  SignedBytes bytes = to_signed_bytes(x_BI.const_data_ptr<float>(), rows, inputs);
  const uint8_t* weights = packed_OJ.const_data_ptr<uint8_t>();
  const auto* pairs = reinterpret_cast<const uint16_t*>(pairs_OG2.const_data_ptr<at::BFloat16>());
  float* out = out_BO.mutable_data_ptr<float>();
  at::parallel_for(0, outputs, kOutputsPerTask, [&](int64_t first, int64_t last) {
    std::vector<float> scale(groups), least(groups);
    int64_t read = -1;
    for_each_tile(rows, first, last, true, [&](int64_t row, int64_t o, auto tile_rows, auto) {
      if (read != o) read_groups(pairs + o * groups * 2, groups, scale.data(), least.data());
      read = o;
      float sums[kRows];
      nibble_dot<tile_rows>(bytes.codes.data() + row * inputs, bytes.group_sums.data() + row * groups,
                            weights + o * inputs / 2, scale.data(), least.data(), groups, sums);
      for (int64_t r = 0; r < tile_rows; ++r) out[(row + r) * outputs + o] = sums[r] * bytes.scales[row + r];
    });
  });
  return out_BO;
}

// Attention (B, N, T, H) with a scale of 1 of queries (B, N, T, H) to keys and values (B, K, S, H); a mask (B, T, S), whose
// strides may be 0, is true on keys to attend to.
Tensor attend(const Tensor& queries, const Tensor& keys, const Tensor& values, const Tensor& mask) {
  TORCH_CHECK(queries.stride(3) == 1 && keys.stride(3) == 1 && values.stride(3) == 1 && mask.stride(2) == 1,
              "the last dimension of queries, keys, values and mask must be contiguous");
  Tensor out = at::empty({queries.size(0), queries.size(2), queries.size(1), queries.size(3)}, queries.options());
  out = out.transpose(1, 2);  // the heads of a step side by side, as the projection after it reads them
  if (queries.scalar_type() == at::kBFloat16)
    attend_all<at::BFloat16>(queries, keys, values, mask, out);
  else
    attend_all<float>(queries, keys, values, mask, out);
  return out;
}

// Backs a tensor's memory by huge pages as far as the kernel permits, in place, so that reading it misses the TLB seldom.
// Returns whether it did.
bool use_huge_pages(const Tensor& tensor) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  constexpr uintptr_t kPage = 2 << 20;
  constexpr int kCollapse = 25;  // MADV_COLLAPSE of Linux 6.1, which older headers lack: at once, not in the background
  auto start = reinterpret_cast<uintptr_t>(tensor.const_data_ptr());
  uintptr_t first = (start + kPage - 1) / kPage * kPage, last = (start + tensor.nbytes()) / kPage * kPage;
  if (last <= first) return false;
  auto* place = reinterpret_cast<void*>(first);
  if (madvise(place, last - first, MADV_HUGEPAGE) != 0) return false;
  return madvise(place, last - first, kCollapse) == 0;
#else
  return false;
#endif
}

TORCH_LIBRARY(dia_native, library) {
  library.def("use_huge_pages(Tensor tensor) -> bool");
  library.def("linear_fp32(Tensor x, Tensor weight) -> Tensor");
  library.def("linear_bf16(Tensor x, Tensor weight) -> Tensor");
  library.def("attend(Tensor queries, Tensor keys, Tensor values, Tensor mask) -> Tensor");
  library.def("linear_int8(Tensor x, Tensor codes, Tensor scale, Tensor sum) -> Tensor");
  library.def("linear_int4(Tensor x, Tensor packed, Tensor pairs) -> Tensor");
}

TORCH_LIBRARY_IMPL(dia_native, CPU, library) {
  library.impl("use_huge_pages", &use_huge_pages);
  library.impl("linear_fp32", &linear_fp32);
  library.impl("linear_bf16", &linear_bf16);
  library.impl("attend", &attend);
  library.impl("linear_int8", &linear_int8);
  library.impl("linear_int4", &linear_int4);
}
