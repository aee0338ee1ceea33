// A one-layer GLM-4 that another implementation has written down: chatglm.cpp's test data (MIT,
// tests/data/glm4_model.data), which lies in a neighbour folder of this repository or not at all.
// Its numbers are the weights and the hidden states after the final norm, for three tokens at once
// and then two decoded with a cache.
//
// Hidden states are not what a model gives out, so the head here is the identity: logits = hidden.
// The vocabulary gets as many rows as the head; the tokens used are among the first five.
#include <filesystem>

#include "tests/model_test_util.h"

namespace pocketglm {
namespace {

constexpr size_t kHidden = 32;
constexpr size_t kHeads = 8;
constexpr size_t kKvHeads = 2;
constexpr size_t kHeadDim = 4;
constexpr size_t kIntermediate = 48;
constexpr size_t kVocab = 5;

// Reads arrays one after another.
class Reader {
 public:
  explicit Reader(std::string bytes) : bytes_(std::move(bytes)) {}

  template <class T = float>
  std::vector<T> Read(size_t count) {
    std::vector<T> values(count);
    EXPECT_LE(at_ + count * sizeof(T), bytes_.size());
    if (at_ + count * sizeof(T) > bytes_.size()) return values;
    std::memcpy(values.data(), bytes_.data() + at_, count * sizeof(T));
    at_ += count * sizeof(T);
    return values;
  }
  bool AtEnd() const { return at_ == bytes_.size(); }

 private:
  std::string bytes_;
  size_t at_ = 0;
};

// Rows [begin, end) of a matrix with `cols` columns; a vector has one.
std::vector<float> Rows(const std::vector<float>& matrix, size_t cols, size_t begin, size_t end) {
  return {matrix.begin() + static_cast<ptrdiff_t>(begin * cols),
          matrix.begin() + static_cast<ptrdiff_t>(end * cols)};
}

// The fixture's weights under the names of transformers.
std::vector<TestTensor> ReadWeights(Reader& reader) {
  std::vector<TestTensor> tensors;
  const auto add = [&](const std::string& name, std::vector<size_t> shape,
                       std::vector<float> values) {
    tensors.push_back({name, "F32", std::move(shape), std::move(values)});
  };
  std::vector<float> embedding = reader.Read(kVocab * kHidden);
  embedding.resize(kHidden * kHidden);
  add("model.embed_tokens.weight", {kHidden, kHidden}, std::move(embedding));

  const std::string layer = "model.layers.0.";
  add(layer + "input_layernorm.weight", {kHidden}, reader.Read(kHidden));
  constexpr size_t kQ = kHeads * kHeadDim;
  constexpr size_t kKv = kKvHeads * kHeadDim;
  const std::vector<float> qkv = reader.Read((kQ + 2 * kKv) * kHidden);
  const std::vector<float> bias = reader.Read(kQ + 2 * kKv);
  for (const auto& [name, begin, end] :
       {std::tuple("q", size_t{0}, kQ), {"k", kQ, kQ + kKv}, {"v", kQ + kKv, kQ + 2 * kKv}}) {
    const std::string projection = layer + "self_attn." + name + "_proj.";
    add(projection + "weight", {end - begin, kHidden}, Rows(qkv, kHidden, begin, end));
    add(projection + "bias", {end - begin}, Rows(bias, 1, begin, end));
  }
  add(layer + "self_attn.o_proj.weight", {kHidden, kQ}, reader.Read(kHidden * kQ));
  add(layer + "post_attention_layernorm.weight", {kHidden}, reader.Read(kHidden));
  add(layer + "mlp.gate_up_proj.weight", {2 * kIntermediate, kHidden},
      reader.Read(2 * kIntermediate * kHidden));
  add(layer + "mlp.down_proj.weight", {kHidden, kIntermediate},
      reader.Read(kHidden * kIntermediate));
  add("model.norm.weight", {kHidden}, reader.Read(kHidden));

  std::vector<float> identity(kHidden * kHidden);
  for (size_t i = 0; i < kHidden; ++i) identity[i * kHidden + i] = 1;
  add("lm_head.weight", {kHidden, kHidden}, std::move(identity));
  return tensors;
}

constexpr char kConfig[] = R"({
  "model_type": "glm", "num_hidden_layers": 1, "hidden_size": 32, "num_attention_heads": 8,
  "num_key_value_heads": 2, "head_dim": 4, "intermediate_size": 48, "vocab_size": 32,
  "max_position_embeddings": 64, "partial_rotary_factor": 0.5, "rope_theta": 10000.0,
  "rms_norm_eps": 1.5625e-07, "attention_bias": true, "tie_word_embeddings": false})";

TEST(ChatGlmFixtureTest, HiddenStatesMatch) {
  const std::string path =
      std::string(POCKETGLM_SHARED_DIR) + "/fixtures/chatglm_cpp_glm4_model.data";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not here";

  Reader reader(ReadFile(path));
  const std::vector<TestTensor> weights = ReadWeights(reader);
  // Three turns of tokens, each followed by their hidden states.
  struct Turn {
    std::vector<int32_t> tokens;
    std::vector<float> hidden;
  };
  std::vector<Turn> turns;
  for (const size_t count : {3, 1, 1}) {
    std::vector<int32_t> tokens = reader.Read<int32_t>(count);
    turns.push_back({std::move(tokens), reader.Read(count * kHidden)});
  }
  ASSERT_TRUE(reader.AtEnd());
  ASSERT_EQ(turns[0].tokens, (std::vector<int32_t>{0, 1, 2}));

  const TempDir dir;
  WriteFile(dir / "config.json", kConfig);
  WriteFile(dir / "model.safetensors", SafetensorsOf(weights));
  const StatusOr<Model> model = ConvertAndLoad(dir.path(), dir / "model.pglm");
  ASSERT_TRUE(model.ok()) << model.status().message();

  for (const IsaLevel level : SupportedIsaLevels()) {
    SCOPED_TRACE(IsaLevelName(level));
    ThreadPool pool(2);
    StatusOr<Session> session = Session::Create(*model, KernelsFor(level), pool,
                                                {.context = 8, .batch = 8, .kv = KvType::kF32});
    ASSERT_TRUE(session.ok()) << session.status().message();
    double largest = 0;
    for (const Turn& turn : turns) {
      session->AppendForLogits(turn.tokens, [&](size_t i, std::span<const float> logits) {
        for (size_t j = 0; j < kHidden; ++j) {
          const double error = std::abs(double{logits[j]} - double{turn.hidden[i * kHidden + j]});
          if (!(error <= largest)) largest = error;
        }
      });
    }
    // The values are of the order of 1 and went through a few dozen f32 roundings on either side. A
    // wrong eps would make 4e-5.
    EXPECT_LE(largest, 2e-6);
    RecordProperty("error", Scientific(largest));
  }
}

}  // namespace
}  // namespace pocketglm
