// The table of kernels: one entry per kernel, one table per ISA level, chosen once at start.
//
//   const Kernels& k = BestKernels();
//   k.rms_norm(x, weight, n, eps, y);
//
// What a kernel computes, its shapes, aliasing and error bound stand in the header of its own name.
// All kernels are single-threaded, keep no state, allocate nothing and give the same bits on every
// level (see kernels/README.md).
#ifndef POCKETGLM_KERNELS_KERNELS_H_
#define POCKETGLM_KERNELS_KERNELS_H_

#include "arch/level.h"
#include "kernels/attention.h"
#include "kernels/embedding.h"
#include "kernels/matmul_float.h"
#include "kernels/matmul_int.h"
#include "kernels/quantize.h"
#include "kernels/rms_norm.h"
#include "kernels/rope.h"
#include "kernels/softmax.h"
#include "kernels/swiglu.h"
#include "kernels/top_k.h"

namespace pocketglm {

struct Kernels {
  IsaLevel level;
  EmbeddingRowFunction* embedding_row;
  RmsNormFunction* rms_norm;
  AddRmsNormFunction* add_rms_norm;
  RmsNormAddFunction* rms_norm_add;
  RmsNormQuantizeFunction* rms_norm_quantize;
  AddRmsNormQuantizeFunction* add_rms_norm_quantize;
  QuantizeFunction* quantize;
  MatMulFloatFunction* matmul_float;
  MatMulIntFunction* matmul_int;
  RopeFunction* rope;
  KvAppendFunction* kv_append;
  AttentionFunction* attention;
  AttentionMergeFunction* attention_merge;
  AttentionFinishFunction* attention_finish;
  SwiGluFunction* swiglu;
  SwiGluQuantizeFunction* swiglu_quantize;
  SoftmaxFunction* softmax;
  ArgmaxFunction* argmax;
  TopKFunction* top_k;
};

// The kernels of `level`. The level must be one this build holds and this CPU supports.
const Kernels& KernelsFor(IsaLevel level);

// The kernels of the best level this CPU supports. Aborts with a message on a CPU below the lowest
// level; a program that wants to say so itself asks ChooseIsaLevel() (arch/level.h) first.
const Kernels& BestKernels();

}  // namespace pocketglm

#endif  // POCKETGLM_KERNELS_KERNELS_H_
