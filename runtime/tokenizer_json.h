// Hugging Face's tokenizer.json, read strictly and compiled to the form the runtime uses.
//
// Understood is the byte-level BPE of the GLM family: model BPE over GPT-2's byte alphabet (every
// byte a token, no unknown token, no prefixes, no dropout), pre_tokenizer Sequence[Split(Regex,
// Isolated), ByteLevel] with any pattern pre_tokenizer.h accepts, decoder ByteLevel, no normalizer.
// Everything else is refused by name: a setting that is skipped over means other ids.
//
// Ignored, because they add or cut ids around the text and the chat format decides about those:
// post_processor (ByteLevel or TemplateProcessing), truncation, padding.
#ifndef POCKETGLM_RUNTIME_TOKENIZER_JSON_H_
#define POCKETGLM_RUNTIME_TOKENIZER_JSON_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/status.h"

namespace pocketglm {

// Compiles the text of a tokenizer.json to a blob for Tokenizer::FromBlob. `path` begins every
// message. What it returns, FromBlob accepts.
StatusOr<std::vector<uint8_t>> CompileTokenizer(std::string_view json_text,
                                                const std::string& path);

}  // namespace pocketglm

#endif  // POCKETGLM_RUNTIME_TOKENIZER_JSON_H_
