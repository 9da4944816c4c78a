// Products of a few rows of activations with weights that are read once, and attention of a few steps to a cache: a
// decoder step is bound by their bytes.
//
// Weights lie row by row as torch has them (outputs x inputs). Each thread multiplies its own outputs with all rows, so
// that every weight is read from memory once. The order of the sums depends on the shape of the weights only: a row gets
// the same bits in any batch and with any number of threads.
//
// Legend: B rows, I inputs, O outputs, G groups of 32 inputs.

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "attention.h"
#include "integers.h"
#include "lanes.h"
#include "nibbles.h"

// A product reads weights row by row from the start of their memory.
void require_rows(const Tensor& weights) { TORCH_CHECK(weights.is_contiguous(), "the weights must be contiguous"); }

Tensor linear_fp32(const Tensor& any_BI, const Tensor& weight_OI) {
  require_rows(weight_OI);
  Tensor x_BI = any_BI.contiguous();
  int64_t rows = x_BI.size(0), inputs = x_BI.size(1), outputs = weight_OI.size(0);
  Tensor out_BO = at::empty({rows, outputs}, x_BI.options());
  float_product(x_BI.const_data_ptr<float>(), weight_OI.const_data_ptr<float>(), out_BO.mutable_data_ptr<float>(), rows,
                inputs, outputs);
  return out_BO;
}

Tensor linear_bf16(const Tensor& any_BI, const Tensor& weight_OI) {
  require_rows(weight_OI);
  Tensor x_BI = any_BI.contiguous();
  int64_t rows = x_BI.size(0), inputs = x_BI.size(1), outputs = weight_OI.size(0);
  Tensor out_BO = at::empty({rows, outputs}, x_BI.options());
  const auto* weights = reinterpret_cast<const uint16_t*>(weight_OI.const_data_ptr<at::BFloat16>());
  float_product(x_BI.const_data_ptr<float>(), weights, out_BO.mutable_data_ptr<float>(), rows, inputs, outputs);
  return out_BO;
}

Tensor linear_int8(const Tensor& any_BI, const Tensor& codes_OI, const Tensor& scale_O, const Tensor& sum_O) {
  require_rows(codes_OI);
  Tensor x_BI = any_BI.contiguous();
  int64_t rows = x_BI.size(0), inputs = x_BI.size(1), outputs = codes_OI.size(0);
  Tensor out_BO = at::empty({rows, outputs}, x_BI.options());
  Bytes bytes = to_bytes(x_BI.const_data_ptr<float>(), rows, inputs);
  const int8_t* weights = codes_OI.const_data_ptr<int8_t>();
  const float* scales = scale_O.const_data_ptr<float>();
  const int32_t* totals = sum_O.const_data_ptr<int32_t>();
  float* out = out_BO.mutable_data_ptr<float>();
  at::parallel_for(0, outputs, kOutputsPerTask, [&](int64_t first, int64_t last) {
    for_each_tile(rows, first, last, false, [&](int64_t row, int64_t o, auto tile_rows, auto tile_outputs) {
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
  require_rows(packed_OJ);
  Tensor x_BI = any_BI.contiguous();
  int64_t rows = x_BI.size(0), inputs = x_BI.size(1), outputs = packed_OJ.size(0), groups = inputs / kGroup;
  TORCH_CHECK(inputs % kGroup == 0, "the number of inputs must be a multiple of ", kGroup);
  Tensor out_BO = at::empty({rows, outputs}, x_BI.options());
  SignedBytes bytes = to_signed_bytes(x_BI.const_data_ptr<float>(), rows, inputs);
  const uint8_t* weights = packed_OJ.const_data_ptr<uint8_t>();
  const auto* pairs = reinterpret_cast<const uint16_t*>(pairs_OG2.const_data_ptr<at::BFloat16>());
  float* out = out_BO.mutable_data_ptr<float>();
  at::parallel_for(0, outputs, kOutputsPerTask, [&](int64_t first, int64_t last) {
    for_each_tile(rows, first, last, false, [&](int64_t row, int64_t o, auto tile_rows, auto tile_outputs) {
      float sums[kRows][kOutputs];
      nibble_tile<tile_rows, tile_outputs>(bytes.codes.data() + row * inputs, bytes.group_sums.data() + row * groups,
                                           weights + o * inputs / 2, pairs + o * groups * 2, groups, sums);
      for (int64_t r = row; r < row + tile_rows; ++r)
        for (int64_t p = o; p < o + tile_outputs; ++p) out[r * outputs + p] = sums[r - row][p - o] * bytes.scales[r];
    });
  });
  return out_BO;
}

// Attention (B, N, T, H) with a scale of 1 of queries (B, N, T, H) to keys and values (B, K, S, H); a mask (B, T, S), whose
// strides may be 0, is true on keys to attend to. Queries in fp32 may have keys and values in bf16.
Tensor attend(const Tensor& queries, const Tensor& keys, const Tensor& values, const Tensor& mask) {
  TORCH_CHECK(queries.stride(3) == 1 && keys.stride(3) == 1 && values.stride(3) == 1 && mask.stride(2) == 1,
              "the last dimension of queries, keys, values and mask must be contiguous");
  Tensor out = at::empty({queries.size(0), queries.size(2), queries.size(1), queries.size(3)}, queries.options());
  out = out.transpose(1, 2);  // the heads of a step side by side, as the projection after it reads them
  bool narrow = keys.scalar_type() == at::kBFloat16;
  if (queries.scalar_type() == at::kBFloat16)
    attend_all<at::BFloat16, at::BFloat16>(queries, keys, values, mask, out);
  else if (narrow)
    attend_all<float, at::BFloat16>(queries, keys, values, mask, out);
  else
    attend_all<float, float>(queries, keys, values, mask, out);
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
