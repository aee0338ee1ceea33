// Answers a prompt with a model file, as run_glm does, but through the installed library:
//
//   use_runtime MODEL.pglm PROMPT
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "arch/topology.h"
#include "kernels/kernels.h"
#include "runtime/chat_format.h"
#include "runtime/generate.h"
#include "runtime/sampler.h"
#include "runtime/session.h"
#include "runtime/thread_pool.h"
#include "runtime/tokenizer.h"
#include "runtime/weights.h"

namespace {

using namespace pocketglm;  // NOLINT(google-build-using-namespace): an example.

Status Answer(const std::string& path, const std::string& prompt) {
  POCKETGLM_ASSIGN_OR_RETURN(const Model model, LoadModel(path));
  POCKETGLM_ASSIGN_OR_RETURN(const Tokenizer tokenizer, model.OpenTokenizer());
  POCKETGLM_ASSIGN_OR_RETURN(const ChatFormat format,
                             ChatFormat::Create(model.chat_format(), tokenizer, path));
  const std::vector<ChatMessage> messages = {{"user", prompt}};
  POCKETGLM_ASSIGN_OR_RETURN(const std::vector<int32_t> tokens, format.Begin(messages));

  const Kernels& kernels = BestKernels();
  ThreadPool pool(DefaultThreadCount());
  POCKETGLM_ASSIGN_OR_RETURN(
      Session session,
      Session::Create(model, kernels, pool, {.context = 1024, .kv = KvType::kF16}));
  Sampler sampler({}, kernels, tokenizer.vocab_size());
  const std::vector<int32_t> stop_ids = format.StopIds(model.stop_ids());
  ReplyText reply;
  Generate(session, sampler, tokens, {.stop_ids = stop_ids, .on_token = [&](int32_t token) {
                                        std::fputs(reply.Push(tokenizer.TokenBytes(token)).c_str(),
                                                   stdout);
                                        return true;
                                      }});
  std::fputs((reply.Flush() + "\n").c_str(), stdout);
  return Status();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: use_runtime MODEL.pglm PROMPT\n");
    return 2;
  }
  const Status status = Answer(argv[1], argv[2]);
  if (status.ok()) return 0;
  std::fprintf(stderr, "use_runtime: error: %s\n", status.message().c_str());
  return 1;
}
