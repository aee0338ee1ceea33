// Compiled once per ISA level: fills the level's table, the one symbol its objects export.
#include "kernels/table.h"
#include "kernels/kernels.h"

namespace pocketglm {
namespace POCKETGLM_LEVEL {

// Declared from the contracts' own types: a definition that differs from its contract is another
// overload, and this file then does not link.
EmbeddingRowFunction EmbeddingRow;
RmsNormFunction RmsNorm;
AddRmsNormFunction AddRmsNorm;
RmsNormAddFunction RmsNormAdd;
RmsNormQuantizeFunction RmsNormQuantize;
AddRmsNormQuantizeFunction AddRmsNormQuantize;
QuantizeFunction Quantize;
MatMulFloatFunction MatMulFloat;
MatMulIntFunction MatMulInt;
RopeFunction Rope;
KvAppendFunction KvAppend;
AttentionFunction Attention;
AttentionMergeFunction AttentionMerge;
AttentionFinishFunction AttentionFinish;
SwiGluFunction SwiGlu;
SwiGluQuantizeFunction SwiGluQuantize;
SoftmaxFunction Softmax;
ArgmaxFunction Argmax;
TopKFunction TopK;

namespace {

constexpr Kernels kTable = {
    .level = IsaLevel::POCKETGLM_LEVEL_ENUM,
    .embedding_row = EmbeddingRow,
    .rms_norm = RmsNorm,
    .add_rms_norm = AddRmsNorm,
    .rms_norm_add = RmsNormAdd,
    .rms_norm_quantize = RmsNormQuantize,
    .add_rms_norm_quantize = AddRmsNormQuantize,
    .quantize = Quantize,
    .matmul_float = MatMulFloat,
    .matmul_int = MatMulInt,
    .rope = Rope,
    .kv_append = KvAppend,
    .attention = Attention,
    .attention_merge = AttentionMerge,
    .attention_finish = AttentionFinish,
    .swiglu = SwiGlu,
    .swiglu_quantize = SwiGluQuantize,
    .softmax = Softmax,
    .argmax = Argmax,
    .top_k = TopK,
};

}  // namespace
}  // namespace POCKETGLM_LEVEL
}  // namespace pocketglm

extern "C" const pocketglm::Kernels* POCKETGLM_TABLE_SYMBOL() {
  return &pocketglm::POCKETGLM_LEVEL::kTable;
}
