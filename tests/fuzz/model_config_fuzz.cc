// config.json and generation_config.json: what is accepted has sizes that can be computed with.
#include "runtime/model_config.h"

#include "runtime/kv_cache.h"
#include "runtime/model_layout.h"
#include "runtime/scratch.h"
#include "tests/fuzz/fuzz_target.h"

namespace pocketglm {
namespace {

void CheckSizes(const ModelConfig& config, const Quantization& quantization) {
  uint64_t bytes = 0;
  for (const TensorSpec& spec : ModelTensors(config, quantization, /*tokenizer_bytes=*/1)) {
    POCKETGLM_REQUIRE(spec.bytes > 0);
    POCKETGLM_REQUIRE(!__builtin_add_overflow(bytes, spec.bytes, &bytes));
  }

  const size_t context = config.max_position_embeddings;
  for (const KvType type : {KvType::kF32, KvType::kF16, KvType::kInt8}) {
    POCKETGLM_REQUIRE(KvCache::Bytes(config, type, context) >=
                      config.num_layers * config.num_kv_heads * config.head_dim);
  }
  const ScratchPlan plan = {
      .max_batch = 512, .max_context = context, .threads = 64, .group = quantization.group};
  POCKETGLM_REQUIRE(Scratch::Bytes(config, plan) < SIZE_MAX / 2);
}

}  // namespace
}  // namespace pocketglm

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pocketglm;
  const std::string_view text = AsText(data, size);
  constexpr size_t kVocabSize = 1000;
  if (const auto generation = ParseGenerationConfig(text, "fuzz", kVocabSize); generation.ok()) {
    POCKETGLM_REQUIRE(generation->temperature >= 0 && generation->temperature <= 100);
    POCKETGLM_REQUIRE(generation->top_p > 0 && generation->top_p <= 1);
    POCKETGLM_REQUIRE(generation->repetition_penalty > 0);
    for (const int32_t id : generation->eos_ids) {
      POCKETGLM_REQUIRE(id >= 0 && static_cast<size_t>(id) < kVocabSize);
    }
  }
  const auto config = ParseModelConfig(text, "fuzz");
  if (!config.ok()) {
    POCKETGLM_REQUIRE(config.status().message().starts_with("fuzz: "));
    return 0;
  }
  POCKETGLM_REQUIRE(config->rotary_dim % 2 == 0 && config->rotary_dim <= config->head_dim);
  for (const int32_t id : config->eos_ids) {
    POCKETGLM_REQUIRE(id >= 0 && static_cast<size_t>(id) < config->vocab_size);
  }
  CheckSizes(*config, kF32Weights);
  CheckSizes(*config, {WeightType::kInt4, kDefaultGroup});
  return 0;
}
