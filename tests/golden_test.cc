// Whole models against Hugging Face's transformers: logits of random glm and glm4 checkpoints, made
// by tests/golden/make_golden.py. And the proof that these logits notice: a model changed in one
// detail of its architecture misses them, every one.
#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>

#include "tests/model_test_util.h"

namespace pocketglm {
namespace {

constexpr size_t kTokens = 48;
constexpr double kToleranceF32 = 2e-5;  // Of the range of a position's logits.
constexpr double kToleranceF16 = 1e-3;

const std::string kGolden = TestDataPath("golden/");

std::vector<std::string> FixtureNames() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(kGolden)) {
    if (entry.is_directory()) names.push_back(entry.path().filename());
  }
  std::sort(names.begin(), names.end());
  return names;
}

// A Hugging Face directory in memory, for changing. Reads safetensors files by its own means.
class Checkpoint {
 public:
  explicit Checkpoint(const std::string& directory) {
    for (const auto& entry : std::filesystem::directory_iterator(directory)) {
      files_[entry.path().filename()] = ReadFile(entry.path());
    }
    config = nlohmann::json::parse(files_.at("config.json"));
  }

  void Save(const TempDir& directory) {
    files_["config.json"] = config.dump();
    for (const auto& [name, bytes] : files_) WriteFile(directory / name, bytes);
  }

  size_t Get(const char* key) const { return config.at(key).get<size_t>(); }

  // The bytes of a tensor of a file.
  std::span<char> Tensor(const std::string& file, const std::string& name) {
    return Data(files_.at(file), Header(files_.at(file)).at(name));
  }

  // Row i of all tensors whose names end in `suffix` becomes what was row order[i].
  void PermuteRows(const std::string& suffix, const std::vector<size_t>& order) {
    Permute(suffix, order, false);
  }
  void PermuteColumns(const std::string& suffix, const std::vector<size_t>& order) {
    Permute(suffix, order, true);
  }

  nlohmann::json config;

 private:
  static uint64_t HeaderBytes(const std::string& file) {
    uint64_t bytes = 0;
    std::memcpy(&bytes, file.data(), sizeof(bytes));
    return bytes;
  }
  static nlohmann::json Header(const std::string& file) {
    return nlohmann::json::parse(file.substr(8, HeaderBytes(file)));
  }
  static std::span<char> Data(std::string& file, const nlohmann::json& tensor) {
    char* data = file.data() + 8 + HeaderBytes(file);
    const std::vector<size_t> range = tensor.at("data_offsets");
    return {data + range[0], data + range[1]};
  }

  void Permute(const std::string& suffix, const std::vector<size_t>& order, bool columns) {
    for (auto& [file_name, file] : files_) {
      if (!file_name.ends_with(".safetensors")) continue;
      const nlohmann::json header = Header(file);
      for (const auto& [name, tensor] : header.items()) {
        if (!name.ends_with(suffix)) continue;
        const std::span<char> data = Data(file, tensor);
        const std::vector<size_t> shape = tensor.at("shape");
        const size_t runs = columns ? shape.at(0) : 1;
        PermuteRuns(data, runs, order);
      }
    }
  }

  // `data` is `runs` runs of order.size() pieces; permutes the pieces of each.
  static void PermuteRuns(std::span<char> data, size_t runs, const std::vector<size_t>& order) {
    ASSERT_EQ(data.size() % (runs * order.size()), 0u);
    const size_t piece = data.size() / runs / order.size();
    const std::vector<char> old(data.begin(), data.end());
    for (size_t run = 0; run < runs; ++run) {
      const size_t begin = run * order.size();
      for (size_t i = 0; i < order.size(); ++i) {
        std::copy_n(&old[(begin + order[i]) * piece], piece, &data[(begin + i) * piece]);
      }
    }
  }

  std::map<std::string, std::string> files_;
};

std::vector<size_t> Identity(size_t n) {
  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), size_t{0});
  return order;
}

void PermuteHeads(Checkpoint& checkpoint, const char* projection,
                  const std::vector<size_t>& order) {
  checkpoint.PermuteRows(std::string(projection) + ".weight", order);
  checkpoint.PermuteRows(std::string(projection) + ".bias", order);
}

// Each makes of a checkpoint one that a wrong implementation would take the original for.

void OtherEps(Checkpoint& checkpoint) {
  nlohmann::json& eps = checkpoint.config.at("rms_norm_eps");
  eps = eps == 1e-5 ? 1.5625e-7 : 1e-5;
}

void OtherTheta(Checkpoint& checkpoint) {
  nlohmann::json& theta = checkpoint.config.at("rope_parameters").at("rope_theta");
  theta = theta == 1e4 ? 5e6 : 1e4;
}

// The up rows before the gate rows.
void UpBeforeGate(Checkpoint& checkpoint) {
  const size_t intermediate = checkpoint.Get("intermediate_size");
  std::vector<size_t> order = Identity(2 * intermediate);
  std::rotate(order.begin(), order.begin() + static_cast<ptrdiff_t>(intermediate), order.end());
  checkpoint.PermuteRows("mlp.gate_up_proj.weight", order);
}

// Query head h reads KV head h mod kv_heads, not h / (heads / kv_heads).
void InterleavedKvHeads(Checkpoint& checkpoint) {
  const size_t heads = checkpoint.Get("num_attention_heads");
  const size_t kv_heads = checkpoint.Get("num_key_value_heads");
  const size_t head_dim = checkpoint.Get("head_dim");
  ASSERT_GT(kv_heads, 1u);
  ASSERT_GT(heads, kv_heads);
  std::vector<size_t> order;
  for (size_t place = 0; place < heads; ++place) {
    const size_t kv_head = place / (heads / kv_heads);
    const size_t head = kv_head + place % (heads / kv_heads) * kv_heads;
    for (size_t i = 0; i < head_dim; ++i) order.push_back(head * head_dim + i);
  }
  PermuteHeads(checkpoint, "q_proj", order);
  checkpoint.PermuteColumns("o_proj.weight", order);
}

// RoPE turns elements (i, i + r/2), not (2i, 2i + 1).
void HalfSplitRotation(Checkpoint& checkpoint) {
  const size_t head_dim = checkpoint.Get("head_dim");
  const double factor = checkpoint.config.at("rope_parameters").at("partial_rotary_factor");
  const size_t rotary = static_cast<size_t>(static_cast<double>(head_dim) * factor);
  ASSERT_GT(rotary, 2u);
  for (const auto& [projection, count] :
       {std::pair("q_proj", "num_attention_heads"), std::pair("k_proj", "num_key_value_heads")}) {
    std::vector<size_t> order = Identity(checkpoint.Get(count) * head_dim);
    for (size_t head = 0; head < order.size(); head += head_dim) {
      for (size_t i = 0; i < rotary / 2; ++i) {
        order[head + 2 * i] = head + i;
        order[head + 2 * i + 1] = head + rotary / 2 + i;
      }
    }
    PermuteHeads(checkpoint, projection, order);
  }
}

// All of a head rotated where it is half, or half where it is all.
void OtherRotaryFactor(Checkpoint& checkpoint) {
  nlohmann::json& factor = checkpoint.config.at("rope_parameters").at("partial_rotary_factor");
  factor = factor == 1.0 ? 0.5 : 1.0;
}

struct Expected {
  std::vector<int32_t> tokens;  // [48]
  std::vector<float> logits;    // [48, vocab]
};

template <class T>
std::vector<T> As(std::span<const char> bytes) {
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
  return values;
}

Expected ReadExpected(Checkpoint& checkpoint) {
  const std::string file = "expected.safetensors";
  return {As<int32_t>(checkpoint.Tensor(file, "tokens")),
          As<float>(checkpoint.Tensor(file, "logits"))};
}

// The largest error of any logit, in parts of the range of its position's logits.
double LargestError(std::span<const float> actual, const Expected& expected) {
  EXPECT_EQ(actual.size(), expected.logits.size());
  const size_t vocab = expected.logits.size() / expected.tokens.size();
  double largest = 0;
  for (size_t begin = 0; begin < actual.size(); begin += vocab) {
    const std::span<const float> row = std::span(expected.logits).subspan(begin, vocab);
    const auto [low, high] = std::minmax_element(row.begin(), row.end());
    for (size_t i = 0; i < vocab; ++i) {
      const double error = std::abs(double{actual[begin + i]} - double{row[i]});
      const double share = error / (double{*high} - double{*low});
      if (!(share <= largest)) largest = share;  // NaN too.
    }
  }
  return largest;
}

class GoldenTest : public testing::TestWithParam<std::string> {
 protected:
  GoldenTest() : checkpoint_(kGolden + GetParam()), expected_(ReadExpected(checkpoint_)) {}

  void SetUp() override {
    ASSERT_EQ(expected_.tokens.size(), kTokens);
    ASSERT_EQ(expected_.logits.size(), kTokens * checkpoint_.Get("vocab_size"));
  }

  // The checkpoint as it is now, converted and open.
  StatusOr<Model> Open(Quantization quantization = kF32Weights) {
    checkpoint_.Save(dir_);
    return ConvertAndLoad(dir_.path(), dir_ / "model.pglm", quantization);
  }

  void ExpectAllMiss(const std::function<void(Checkpoint&)>& mutate) {
    mutate(checkpoint_);
    const StatusOr<Model> model = Open();
    ASSERT_TRUE(model.ok()) << model.status().message();
    const double error = LargestError(LogitsOf(*model, expected_.tokens, {}), expected_);
    RecordProperty("error", Scientific(error));
    // So far that the f16 cache's tolerance does not hide it either.
    EXPECT_GT(error, 4 * kToleranceF16);
  }

  Checkpoint checkpoint_;
  const Expected expected_;
  TempDir dir_;
};

INSTANTIATE_TEST_SUITE_P(, GoldenTest, testing::ValuesIn(FixtureNames()),
                         [](const auto& name) { return name.param; });

TEST_P(GoldenTest, MatchesTransformers) {
  const StatusOr<Model> model = Open();
  ASSERT_TRUE(model.ok()) << model.status().message();
  for (const KvType kv : {KvType::kF32, KvType::kF16}) {
    double largest = 0;
    for (const IsaLevel level : SupportedIsaLevels()) {
      for (const size_t batch : {48, 1, 7}) {
        const double error = LargestError(
            LogitsOf(*model, expected_.tokens, {.level = level, .kv = kv, .batch = batch}),
            expected_);
        EXPECT_LE(error, kv == KvType::kF32 ? kToleranceF32 : kToleranceF16)
            << IsaLevelName(level) << ", batches of " << batch;
        largest = std::max(largest, error);
      }
    }
    RecordProperty(kv == KvType::kF32 ? "error_kv_f32" : "error_kv_f16", Scientific(largest));
  }
}

// bf16 holds the bf16 checkpoints exactly, so the logits are the same bits.
TEST_P(GoldenTest, Bf16ModelFileOfABf16CheckpointGivesTheSameBits) {
  if (checkpoint_.config.at("dtype") != "bfloat16") GTEST_SKIP() << "not a bf16 checkpoint";
  const StatusOr<Model> bf16 = Open(kBf16Weights);
  ASSERT_TRUE(bf16.ok()) << bf16.status().message();
  const std::vector<float> logits = LogitsOf(*bf16, expected_.tokens, {});
  const StatusOr<Model> f32 = Open(kF32Weights);
  ASSERT_TRUE(f32.ok()) << f32.status().message();
  EXPECT_TRUE(SameBits(logits, LogitsOf(*f32, expected_.tokens, {})));
}

TEST_P(GoldenTest, NoticesEps) { ExpectAllMiss(OtherEps); }
TEST_P(GoldenTest, NoticesTheta) { ExpectAllMiss(OtherTheta); }
TEST_P(GoldenTest, NoticesGateUpOrder) { ExpectAllMiss(UpBeforeGate); }
TEST_P(GoldenTest, NoticesKvHeadMap) { ExpectAllMiss(InterleavedKvHeads); }
TEST_P(GoldenTest, NoticesHalfSplitRotation) { ExpectAllMiss(HalfSplitRotation); }
TEST_P(GoldenTest, NoticesRotaryFactor) { ExpectAllMiss(OtherRotaryFactor); }

// What the fixtures must cover between them.
TEST(GoldenFixtures, AreManifold) {
  std::vector<nlohmann::json> configs;
  for (const std::string& name : FixtureNames())
    configs.push_back(Checkpoint(kGolden + name).config);
  EXPECT_GE(configs.size(), 5u);
  const auto count = [&](const std::string& key, const nlohmann::json& value) {
    return std::count_if(configs.begin(), configs.end(), [&](const nlohmann::json& config) {
      const nlohmann::json& rope = config.at("rope_parameters");
      return (rope.contains(key) ? rope : config).at(key) == value;
    });
  };
  for (const char* model_type : {"glm", "glm4"}) EXPECT_GE(count("model_type", model_type), 2);
  for (const double factor : {0.5, 1.0}) EXPECT_GE(count("partial_rotary_factor", factor), 2);
  for (const double theta : {1e4, 5e6}) EXPECT_GE(count("rope_theta", theta), 2);
  for (const double eps : {1.5625e-7, 1e-5}) EXPECT_GE(count("rms_norm_eps", eps), 2);
  for (const bool yes : {false, true}) {
    EXPECT_GE(count("attention_bias", yes), 2);
    EXPECT_GE(count("tie_word_embeddings", yes), 2);
  }
}

}  // namespace
}  // namespace pocketglm
