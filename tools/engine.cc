#include "tools/engine.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <system_error>
#include <vector>

#include "arch/level.h"
#include "arch/topology.h"
#include "runtime/float_environment.h"

namespace pocketglm {
namespace {

constexpr size_t kDefaultContext = 4096;

constexpr const char* kKvNames[] = {"f32", "f16", "int8"};  // In the order of KvType.

KvType ChooseKvType(const std::string& name, WeightType weights) {
  for (const KvType type : {KvType::kF32, KvType::kF16, KvType::kInt8}) {
    if (name == kKvNames[static_cast<size_t>(type)]) return type;
  }
  return IsInteger(weights) ? KvType::kF16 : KvType::kF32;
}

// Stands in front of /proc and /sys where the memory limits are read; for tests.
std::string SystemRoot() {
  const char* root = std::getenv("POCKETGLM_SYSTEM_ROOT");
  return root == nullptr ? "" : root;
}

}  // namespace

void AddEngineFlags(CLI::App& app, EngineFlags& flags) {
  app.add_option("-m,--model", flags.model, "Model file (.pglm, made by convert_glm)")
      ->required()
      ->type_name("FILE");
  app.add_option("-t,--threads", flags.threads, std::string("Threads") + kDefaultThreads)
      ->check(CLI::Range(size_t{1}, kMaxThreads))
      ->type_name("N");
  app.add_option("--isa", flags.isa, "ISA level to run at [best; or POCKETGLM_ISA]")
      ->type_name("LEVEL");
  app.add_option("--kv", flags.kv,
                 "KV cache type: f32, f16 or int8 [f16 for int8 and int4 models, else f32]")
      ->check(CLI::IsMember({"f32", "f16", "int8"}))
      ->type_name("TYPE");
  app.add_option("--batch", flags.batch, "Most tokens computed at once [512]")
      ->check(CLI::Range(size_t{1}, size_t{65536}))
      ->type_name("N");
  app.add_flag("--force", flags.force,
               "Run even if weights, KV cache and scratch exceed the available memory");
}

StatusOr<std::unique_ptr<Engine>> Engine::Open(const EngineFlags& flags) {
  std::unique_ptr<Engine> engine(new Engine);
  POCKETGLM_RETURN_IF_ERROR(engine->Load(flags));
  return engine;
}

Status Engine::Load(const EngineFlags& flags) {
  const auto start = std::chrono::steady_clock::now();
  const IsaLevelChoice choice = ChooseIsaLevel(flags.isa);
  if (!choice.level) return Status::Error(choice.error);
  kernels_ = &KernelsFor(*choice.level);
  POCKETGLM_RETURN_IF_ERROR(CheckFloatEnvironment());

  path_ = flags.model;
  const MemoryLimit limit = AvailableMemory(SystemRoot());  // Before the file is mapped.
  POCKETGLM_ASSIGN_OR_RETURN(model_, LoadModel(path_));
  POCKETGLM_RETURN_IF_ERROR(ChooseSessionOptions(flags));
  const size_t threads = flags.threads != 0 ? flags.threads : DefaultThreadCount();
  POCKETGLM_RETURN_IF_ERROR(CheckMemory(flags, threads, limit));
  if (!model_.tokenizer().empty()) {
    POCKETGLM_ASSIGN_OR_RETURN(tokenizer_, model_.OpenTokenizer());
  }
  POCKETGLM_RETURN_IF_ERROR(StartThreads(threads));
  load_seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return Status();
}

Status Engine::ChooseSessionOptions(const EngineFlags& flags) {
  const size_t longest = model_.config().max_position_embeddings;
  if (flags.context > longest) {
    return Status::Error(path_ + ": context of " + std::to_string(flags.context) +
                         " tokens: expected at most " + std::to_string(longest) +
                         ", the positions this model was made for");
  }
  session_options_.context =
      flags.context != 0 ? flags.context : std::min(longest, kDefaultContext);
  session_options_.batch = flags.batch;
  session_options_.kv = ChooseKvType(flags.kv, model_.weights.lm_head.type);
  return Status();
}

Status Engine::CheckMemory(const EngineFlags& flags, size_t threads, const MemoryLimit& limit) {
  const SessionMemory session = Session::Memory(model_, threads, session_options_);
  std::vector<MemoryPart> parts = {
      {"weights", model_.file.file.bytes().size()},
      {"KV cache of " + std::to_string(session_options_.context) + " tokens", session.kv_cache},
      {"scratch", session.scratch}};
  if (flags.all_logits) parts.push_back({"logits", session.all_logits});
  for (const MemoryPart& part : parts) memory_needed_ += part.bytes;
  if (flags.memory_in_use != 0) parts.push_back({"the other model", flags.memory_in_use});
  Status status = flags.force ? Status() : pocketglm::CheckMemory(path_, parts, limit);
  if (status.ok()) return status;
  return Status::Error(status.message() +
                       "; a shorter context, --kv int8 and a smaller --batch need less, --force "
                       "tries all the same");
}

Status Engine::StartThreads(size_t count) {
  try {
    pool_.emplace(count);
  } catch (const std::system_error& error) {
    return Status::Error("cannot start " + std::to_string(count) +
                         " threads: " + error.code().message() + "; see -t");
  }
  return Status();
}

StatusOr<Session> Engine::NewSession() {
  return Session::Create(model_, *kernels_, pool(), session_options_);
}

StatusOr<const Tokenizer*> Engine::tokenizer() const {
  if (tokenizer_) return &*tokenizer_;
  return Status::Error(path_ +
                       ": tensor tokenizer: expected one for working with text, found none; "
                       "eval_glm --tokens works without");
}

const char* Engine::kv_name() const { return kKvNames[static_cast<size_t>(session_options_.kv)]; }

size_t Engine::sampled_vocab_size() const {
  return tokenizer_ ? tokenizer_->vocab_size() : model_.config().vocab_size;
}

Status Engine::CheckTokens(std::span<const int32_t> tokens) const {
  const size_t vocab_size = model_.config().vocab_size;
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i] >= 0 && static_cast<size_t>(tokens[i]) < vocab_size) continue;
    return Status::Error(path_ + ": token " + std::to_string(i) + ": expected an id from 0 to " +
                         std::to_string(vocab_size - 1) + ", found " + std::to_string(tokens[i]));
  }
  return Status();
}

}  // namespace pocketglm
