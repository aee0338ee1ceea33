// Every kernel gives the same bits on every level: those of the canonical arithmetic, which
// tests/reference/canonical.h spells out. So two levels agree even if no machine has both.
#include "kernels/float16.h"
#include "tests/attention_test_util.h"
#include "tests/reference/canonical.h"
#include "tests/test_util.h"

namespace pocketglm {
namespace {

class SameBitsTest : public KernelTest {};
POCKETGLM_FOR_EACH_SUPPORTED_LEVEL(SameBitsTest);

TEST_P(SameBitsTest, RmsNorm) {
  Random random(1);
  for (size_t n : Lengths()) {
    for (float scale : {1e-10f, 1.0f, 1e10f}) {
      const Guarded<float> x = RandomRow(random, n, -scale, scale, n % 3);
      const Guarded<float> weight = RandomRow(random, n, -2.0f, 2.0f);
      const Guarded<float> old = RandomRow(random, n, -1.0f, 1.0f);
      const std::vector<float> normed =
          canonical::RmsNorm({x.data(), n}, {weight.data(), n}, 1e-6f);

      Guarded<float> y(n);
      kernels().rms_norm(x.data(), weight.data(), n, 1e-6f, y.data());
      EXPECT_TRUE(SameBits(y.row(), normed)) << "n " << n;

      std::vector<float> normed_sum(n);
      std::vector<float> sum(n);
      for (size_t i = 0; i < n; ++i) {
        normed_sum[i] = old.data()[i] + normed[i];
        sum[i] = old.data()[i] + x.data()[i];
      }
      Guarded<float> residual({old.data(), n}, 0);
      kernels().rms_norm_add(x.data(), weight.data(), n, 1e-6f, residual.data());
      EXPECT_TRUE(SameBits(residual.row(), normed_sum)) << "n " << n;

      Guarded<float> updated({old.data(), n}, 0);
      kernels().add_rms_norm(x.data(), weight.data(), n, 1e-6f, updated.data(), y.data());
      EXPECT_TRUE(SameBits(updated.row(), sum)) << "n " << n;
      EXPECT_TRUE(SameBits(y.row(), canonical::RmsNorm(sum, {weight.data(), n}, 1e-6f)))
          << "n " << n;
    }
  }
}

TEST_P(SameBitsTest, Rope) {
  Random random(2);
  for (size_t rotary_dim = 2; rotary_dim <= 128; rotary_dim += 2) {
    const Guarded<float> cos = RandomRow(random, rotary_dim, -1.0f, 1.0f);
    const Guarded<float> sin = RandomRow(random, rotary_dim, -1.0f, 1.0f);
    const Guarded<float> x = RandomRow(random, rotary_dim + 3, -9.0f, 9.0f);
    Guarded<float> heads({x.data(), rotary_dim + 3}, 1);
    kernels().rope(cos.data(), sin.data(), rotary_dim, heads.view());
    EXPECT_TRUE(
        SameBits(heads.row(), canonical::Rope({cos.data(), rotary_dim}, {sin.data(), rotary_dim},
                                              {x.data(), rotary_dim + 3})))
        << "rotary_dim " << rotary_dim;
  }
}

TEST_P(SameBitsTest, Softmax) {
  Random random(3);
  for (size_t n : Lengths()) {
    for (float range : {1.0f, 20.0f, 120.0f}) {
      Guarded<float> x = RandomRow(random, n, -range, range);
      const std::vector<float> expected = canonical::Softmax(x.row());
      kernels().softmax(x.data(), n);
      EXPECT_TRUE(SameBits(x.row(), expected)) << "n " << n << ", +-" << range;
    }
  }
}

// Gates beyond +-88 too, where exp ends.
TEST_P(SameBitsTest, SwiGlu) {
  Random random(4);
  for (size_t n : Lengths()) {
    for (float range : {1.0f, 120.0f}) {
      Guarded<float> gate_up = RandomRow(random, RoundUp(n, 16) * 2, -range, range);
      std::vector<float> expected(n);
      for (size_t i = 0; i < n; ++i) {
        const size_t gate = i / 16 * 32 + i % 16;
        expected[i] = canonical::SwiGlu(gate_up[gate], gate_up[gate + 16]);
      }
      Guarded<float> y(n);
      kernels().swiglu(gate_up.data(), n, y.data());
      EXPECT_TRUE(SameBits(y.row(), expected)) << "n " << n << ", +-" << range;
    }
  }
}

TEST_P(SameBitsTest, MatMulFloat) {
  Random random(5);
  for (WeightType type : {WeightType::kF32, WeightType::kBf16}) {
    for (size_t rows : {5, 16, 77, 130}) {
      for (size_t cols : {1, 2, 31, 200, 1003}) {
        std::vector<float> values(rows * cols);
        random.Fill(values, -1.0f, 1.0f);
        if (type == WeightType::kBf16) {
          for (float& value : values) value = F32FromBf16(Bf16FromF32(value));
        }
        Guarded<uint8_t> packed(PackedBytes(type, rows, cols, 0));
        for (size_t p = 0; p < PanelCount(rows); ++p) {
          PackPanel(type, {&values[p * 16 * cols], std::min<size_t>(16, rows - p * 16), cols, cols},
                    packed.data() + p * PanelBytes(type, cols, 0));
        }
        const PackedMatrix w = {packed.data(), type, rows, cols};
        const Guarded<float> bias = RandomRow(random, rows, -1.0f, 1.0f);
        for (size_t tokens : {1, 2, 5, 6, 7, 13}) {
          Guarded<float> x(tokens, cols, cols + 1);
          for (size_t m = 0; m < tokens; ++m) random.Fill(x.row(m), -1.0f, 1.0f);
          Guarded<float> y(tokens, rows, rows + 1);
          kernels().matmul_float(w, x.view(), bias.data(), y.view(), {0, PanelCount(rows)});
          for (size_t m = 0; m < tokens; ++m) {
            std::vector<float> expected(rows);
            for (size_t n = 0; n < rows; ++n) {
              expected[n] = canonical::Dot({&values[n * cols], cols}, x.row(m)) + bias.data()[n];
            }
            EXPECT_TRUE(SameBits(y.row(m), expected))
                << "M " << tokens << ", N " << rows << ", K " << cols << ", token " << m;
          }
        }
      }
    }
  }
}

// Attention with its merges, and the cache it reads.
TEST_P(SameBitsTest, Attention) {
  for (KvType type : {KvType::kF32, KvType::kF16, KvType::kInt8}) {
    for (size_t head_dim : {2, 4, 17, 20, 33, 48, 64, 128}) {
      for (size_t keys : {1, 17, 64, 100, 1024, 1025, 2500}) {
        Random random(head_dim * 1009 + keys);
        KvCacheFixture cache(type, keys, head_dim);
        cache.AppendRandom(kernels(), random, 2.0f, 1.0f);
        const size_t heads = 1 + keys % 11;
        Guarded<float> q = RandomRow(random, heads * head_dim, -2.0f, 2.0f);
        const float scale = 0.125f;
        StateFixture result(1, heads, head_dim);
        AttendAll(kernels(), q.view(), cache.head(), keys, scale, result);

        for (size_t h = 0; h < heads; ++h) {
          canonical::HeadState expected;
          for (size_t begin = 0; begin < keys; begin += kAttentionChunk) {
            const Range chunk = {begin, std::min(keys, begin + kAttentionChunk)};
            canonical::HeadState state = canonical::AttendChunk(
                q.row().subspan(h * head_dim, head_dim), cache.keys(chunk), cache.values(chunk),
                scale, cache.key_scales(chunk), cache.value_scales(chunk));
            if (begin == 0) {
              expected = std::move(state);
            } else {
              canonical::Merge(state, expected);
            }
          }
          canonical::Finish(expected);
          EXPECT_TRUE(SameBits(result.out(h), expected.out))
              << keys << " keys, head " << h << " of " << heads << " x " << head_dim;
          EXPECT_EQ(result.max(h), expected.max);
          EXPECT_EQ(result.sum(h), expected.sum);
        }
      }
    }
  }
}

// The kernels without rounding (embedding_row, top_k, argmax), kv_append, whose rounding is that of
// a conversion, and those of integers (quantize, matmul_int) are compared with exact references or
// the canonical arithmetic in their own tests.

}  // namespace
}  // namespace pocketglm
