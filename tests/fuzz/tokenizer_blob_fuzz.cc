// The compiled tokenizer: what opens can be used, whatever its tables say.
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/use_tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto tokenizer = pocketglm::Tokenizer::FromBlob({data, size}, "fuzz");
  if (!tokenizer.ok()) {
    POCKETGLM_REQUIRE(tokenizer.status().message().starts_with("fuzz: "));
    return 0;
  }
  pocketglm::UseTokenizer(*tokenizer, /*lossless=*/false);
  return 0;
}
