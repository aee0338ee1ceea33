// Quantised activations, for the benchmarks of the kernels that make them and of those that take
// them.
#ifndef POCKETGLM_BENCH_QUANTIZED_ROWS_H_
#define POCKETGLM_BENCH_QUANTIZED_ROWS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "bench/bench_util.h"

namespace pocketglm {

// Memory for `tokens` rows of `cols` elements, laid out as in a running model.
class QuantizedRows {
 public:
  QuantizedRows(size_t tokens, size_t cols, size_t group)
      : groups_(CeilDiv(cols, group)),
        stride_(groups_ * group + kLineBytes),
        group_stride_(tokens > 8 ? tokens + 16 : tokens),  // As runtime/scratch.cc.
        q_(tokens * stride_),
        scales_(groups_ * group_stride_),
        sums_(groups_ * group_stride_),
        view_{{q_.data(), tokens, groups_ * group, stride_},
              {scales_.data(), groups_, tokens, group_stride_},
              {sums_.data(), groups_, tokens, group_stride_},
              group} {}
  QuantizedRows(const QuantizedRows&) = delete;
  QuantizedRows& operator=(const QuantizedRows&) = delete;

  const QuantizedMatrix& view() const { return view_; }

  // Whether the first and the last element of row 0 stand for those of `expected`, within half a
  // step and `error`; as ResultIsRight().
  bool FirstRowIsRight(benchmark::State& state, std::span<const double> expected,
                       double error) const {
    for (size_t k : {size_t{0}, expected.size() - 1}) {
      const double scale = view_.scales.Row(k / view_.group)[0];
      const double value = view_.q.Row(0)[k] * scale;
      if (!ResultIsRight(state, "q * scale", value, expected[k], 0.501 * scale + error)) {
        return false;
      }
    }
    return true;
  }

 private:
  size_t groups_, stride_, group_stride_;
  std::vector<int8_t> q_;
  std::vector<float> scales_;
  std::vector<int32_t> sums_;
  QuantizedMatrix view_;
};

}  // namespace pocketglm

#endif  // POCKETGLM_BENCH_QUANTIZED_ROWS_H_
