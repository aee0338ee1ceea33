// A model opened for running, as the flags say that all programs running one take.
#ifndef POCKETGLM_TOOLS_ENGINE_H_
#define POCKETGLM_TOOLS_ENGINE_H_

#include <CLI/CLI.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "kernels/kernels.h"
#include "runtime/memory_limit.h"
#include "runtime/session.h"
#include "runtime/status.h"
#include "runtime/thread_pool.h"
#include "runtime/tokenizer.h"
#include "runtime/weights.h"

namespace pocketglm {

// The flags that all programs running a model take, with their defaults.
struct EngineFlags {
  std::string model;
  size_t threads = 0;  // 0: as many as there are physical cores to use.
  std::string isa;     // Empty: the best.
  std::string kv;      // Empty: f16 for int8 and int4 weights, else f32.
  size_t batch = 512;
  size_t context = 0;  // 0: the model's, at most 4096.
  bool force = false;  // Open a model that needs more memory than there is.

  // Set by programs, not by flags.
  bool all_logits = false;     // Whether Session::AppendForLogits will be used.
  uint64_t memory_in_use = 0;  // What engines opened before will need.
};
void AddEngineFlags(CLI::App& app, EngineFlags& flags);

// What --help says of the number of threads when it is not given, and the most that may be.
inline constexpr const char* kDefaultThreads =
    " [physical cores in the affinity mask and cgroup quota]";
inline constexpr size_t kMaxThreads = 1024;

// A model opened as the flags say, with all that running it needs. Not movable: its parts point at
// each other.
class Engine {
 public:
  static StatusOr<std::unique_ptr<Engine>> Open(const EngineFlags& flags);

  const Model& model() const { return model_; }
  const Kernels& kernels() const { return *kernels_; }
  ThreadPool& pool() { return *pool_; }  // NOLINT(bugprone-unchecked-optional-access): by Load().
  const char* kv_name() const;
  size_t context() const { return session_options_.context; }

  StatusOr<Session> NewSession();

  // The tokenizer, or an error that says what a model without one can be used for.
  StatusOr<const Tokenizer*> tokenizer() const;
  // How many tokens may be chosen by sampling: those the tokenizer has, or all rows without one.
  size_t sampled_vocab_size() const;
  // Checks that every id is below the vocabulary's size.
  Status CheckTokens(std::span<const int32_t> tokens) const;

  double load_seconds() const { return load_seconds_; }
  // What model and session take, in bytes.
  uint64_t memory_needed() const { return memory_needed_; }

 private:
  Engine() = default;
  Status Load(const EngineFlags& flags);
  Status ChooseSessionOptions(const EngineFlags& flags);
  Status CheckMemory(const EngineFlags& flags, size_t threads, const MemoryLimit& limit);
  Status StartThreads(size_t count);

  std::string path_;
  Model model_;
  std::optional<Tokenizer> tokenizer_;
  const Kernels* kernels_ = nullptr;
  std::optional<ThreadPool> pool_;
  SessionOptions session_options_;
  double load_seconds_ = 0;
  uint64_t memory_needed_ = 0;
};

}  // namespace pocketglm

#endif  // POCKETGLM_TOOLS_ENGINE_H_
