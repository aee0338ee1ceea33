// Calls two kernels from outside the project and compares them with a plain computation: RMSNorm,
// and a product of INT4 weights, of a matrix with an incomplete panel and an incomplete group.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "kernels/float16.h"
#include "kernels/kernels.h"

namespace {

bool Check(const char* what, double actual, double expected, double tolerance) {
  if (std::abs(actual - expected) <= tolerance) return true;
  std::fprintf(stderr, "use_kernels: %s is %.9g, not %.9g within %.3g\n", what, actual, expected,
               tolerance);
  return false;
}

bool RmsNorm(const pocketglm::Kernels& kernels) {
  const std::vector<float> x = {1, -2, 3, -4, 5};
  const std::vector<float> weight = {1, 1, 2, 2, 0.5f};
  std::vector<float> y(x.size());
  kernels.rms_norm(x.data(), weight.data(), x.size(), 1e-5f, y.data());
  const double root = std::sqrt((1 + 4 + 9 + 16 + 25) / 5.0 + 1e-5);
  bool right = true;
  for (size_t i = 0; i < x.size(); ++i) {
    right &= Check("rms_norm", y[i], x[i] / root * weight[i], 1e-6);
  }
  return right;
}

bool MatMulInt4(const pocketglm::Kernels& kernels) {
  constexpr size_t kRows = 20, kCols = 100, kGroup = 64, kGroups = 2;
  using pocketglm::WeightType;
  std::vector<int8_t> q(kRows * kCols);
  std::vector<uint16_t> scales(kRows * kGroups);
  for (size_t i = 0; i < q.size(); ++i) q[i] = static_cast<int8_t>(i * 7 % 16) - 8;
  for (size_t i = 0; i < scales.size(); ++i) {
    scales[i] = pocketglm::F16FromF32(0.01f * static_cast<float>(i + 1));
  }
  const size_t bytes = pocketglm::PackedBytes(WeightType::kInt4, kRows, kCols, kGroup);
  auto* packed = static_cast<uint8_t*>(std::aligned_alloc(pocketglm::kLineBytes, bytes));
  const pocketglm::PackedMatrix w = {packed, WeightType::kInt4, kRows, kCols, kGroup};
  for (size_t row = 0, panel = 0; row < kRows; row += pocketglm::kPanelRows, ++panel) {
    const size_t count = std::min(pocketglm::kPanelRows, kRows - row);
    pocketglm::PackQuantizedPanel(
        WeightType::kInt4, kGroup, {q.data() + row * kCols, count, kCols, kCols},
        {scales.data() + row * kGroups, count, kGroups, kGroups}, packed + panel * w.panel_bytes());
  }

  std::vector<float> x(kCols);
  for (size_t k = 0; k < kCols; ++k) x[k] = std::sin(static_cast<float>(k));
  std::vector<int8_t> xq(kGroups * kGroup);
  std::vector<float> x_scales(kGroups);
  std::vector<int32_t> x_sums(kGroups);
  kernels.quantize(x.data(), kCols, {xq.data(), x_scales.data(), x_sums.data(), kGroup});

  std::vector<float> y(kRows);
  kernels.matmul_int(w,
                     {{xq.data(), 1, xq.size(), xq.size()},
                      {x_scales.data(), kGroups, 1, 1},
                      {x_sums.data(), kGroups, 1, 1},
                      kGroup},
                     nullptr, {y.data(), 1, kRows, kRows}, {0, w.panels()});
  std::free(packed);

  bool right = true;
  for (size_t n = 0; n < kRows; ++n) {
    double sum = 0;
    for (size_t k = 0; k < kCols; ++k) {
      const size_t g = k / kGroup;
      sum += static_cast<double>(pocketglm::F32FromF16(scales[n * kGroups + g])) * x_scales[g] *
             q[n * kCols + k] * xq[k];
    }
    right &= Check("matmul_int", y[n], sum, 1e-5 * (1 + std::abs(sum)));
  }
  return right;
}

}  // namespace

int main() {
  const pocketglm::Kernels& kernels = pocketglm::BestKernels();
  if (!RmsNorm(kernels) || !MatMulInt4(kernels)) return 1;
  std::printf("kernels of level %s are right\n",
              std::string(pocketglm::IsaLevelName(kernels.level)).c_str());
  return 0;
}
