// tokenizer.json: what is accepted compiles to a tokenizer that opens and loses no byte.
#include "runtime/tokenizer_json.h"

#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/use_tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto blob = pocketglm::CompileTokenizer(pocketglm::AsText(data, size), "fuzz");
  if (!blob.ok()) {
    POCKETGLM_REQUIRE(blob.status().message().starts_with("fuzz: "));
    return 0;
  }
  const auto tokenizer = pocketglm::Tokenizer::FromBlob(*blob, "fuzz");
  POCKETGLM_REQUIRE(tokenizer.ok());
  pocketglm::UseTokenizer(*tokenizer, /*lossless=*/true);
  return 0;
}
