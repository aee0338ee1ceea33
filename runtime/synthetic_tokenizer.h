// A tokenizer of any size that nobody had to train, for models with made-up weights.
#ifndef POCKETGLM_RUNTIME_SYNTHETIC_TOKENIZER_H_
#define POCKETGLM_RUNTIME_SYNTHETIC_TOKENIZER_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace pocketglm {

// The special tokens of the GLM family that follow a vocabulary, in their order.
inline constexpr const char* kGlmSpecialTokens[] = {"<|endoftext|>",
                                                    "[MASK]",
                                                    "[gMASK]",
                                                    "[sMASK]",
                                                    "<sop>",
                                                    "<eop>",
                                                    "<|system|>",
                                                    "<|user|>",
                                                    "<|assistant|>",
                                                    "<|observation|>",
                                                    "<|begin_of_image|>",
                                                    "<|end_of_image|>",
                                                    "<|begin_of_video|>",
                                                    "<|end_of_video|>"};
inline constexpr size_t kSyntheticMinTokens = 256;

// A byte-level BPE tokenizer with `tokens` >= kSyntheticMinTokens ordinary tokens, followed by
// kGlmSpecialTokens, as Tokenizer::FromBlob takes it. The first 256 tokens are the bytes; the
// others are all strings over 32 frequent letters, short ones first. GLM-4's pattern cuts the text,
// so that English becomes tokens of two to four letters.
std::vector<uint8_t> MakeSyntheticTokenizer(size_t tokens);

}  // namespace pocketglm

#endif  // POCKETGLM_RUNTIME_SYNTHETIC_TOKENIZER_H_
