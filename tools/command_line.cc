#include "tools/command_line.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <system_error>
#include <utility>
#include <vector>

#include "arch/level.h"
#include "arch/topology.h"
#include "runtime/float_environment.h"
#include "tools/commit.h"

namespace pocketglm {
namespace {

constexpr size_t kDefaultContext = 4096;
constexpr size_t kMaxThreads = 1024;
constexpr size_t kMaxText = size_t{1} << 28;

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

const char* running_program = "";  // For the signal handler.

// A page of a mapped file is not there any more. All that may be done here is to say so and leave.
void OnBusError(int) {
  for (const char* text : {running_program,
                           ": error: a file in use could not be read: it was made shorter, or its"
                           " disk failed\n"}) {
    (void)!write(STDERR_FILENO, text, std::strlen(text));
  }
  _exit(kExitError);
}

// The name, version, commit, compiler and ISA levels of this build: what --version prints.
std::string VersionText(const char* program) {
  std::string text = std::string(program) + " (PocketGLM) " + POCKETGLM_VERSION + ", commit " +
                     kCommit + ", built with ";
#if defined(__clang__)
  text += "clang " __clang_version__;
#else
  text += "g++ " __VERSION__;
#endif
  text += ", levels";
  for (const IsaLevel level : BuiltIsaLevels()) {
    text += " " + std::string(IsaLevelName(level)) + (CpuSupports(level) ? "" : " (not here)");
  }
  return text;
}

}  // namespace

const char* Engine::kv_name() const { return kKvNames[static_cast<size_t>(session_options_.kv)]; }

int PrintError(const char* program, const Status& status) {
  std::fprintf(stderr, "%s: error: %s\n", program, status.message().c_str());
  return kExitError;
}

int RunMain(const char* program, int (*main)(int argc, char** argv), int argc, char** argv) {
  running_program = program;
  std::signal(SIGBUS, OnBusError);
  std::signal(SIGXFSZ, SIG_IGN);  // Writing then fails and says why.
  try {
    return main(argc, argv);
  } catch (const std::bad_alloc&) {
    return PrintError(program, Status::Error("out of memory: an allocation was refused"));
  }
}

std::optional<int> ParseCommandLine(CLI::App& app, int argc, char** argv) {
  app.set_version_flag("--version", VersionText(app.get_name().c_str()),
                       "Print version, commit, compiler and ISA levels");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    std::fprintf(stderr, "%s: error: %s (see %s --help)\n", app.get_name().c_str(), error.what(),
                 app.get_name().c_str());
    return kExitUsage;
  }
  return std::nullopt;
}

void AddEngineFlags(CLI::App& app, EngineFlags& flags) {
  app.add_option("-m,--model", flags.model, "Model file (.pglm, made by convert_glm)")
      ->required()
      ->type_name("FILE");
  app.add_option("-t,--threads", flags.threads,
                 "Threads [physical cores in the affinity mask and cgroup quota]")
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
    POCKETGLM_ASSIGN_OR_RETURN(
        tokenizer_, Tokenizer::FromBlob(model_.tokenizer(), path_ + ": tensor tokenizer"));
    if (tokenizer_->vocab_size() > model_.config().vocab_size) {
      return Status::Error(path_ + ": tensor tokenizer: expected at most " +
                           std::to_string(model_.config().vocab_size) +
                           " tokens, as the model has, found " +
                           std::to_string(tokenizer_->vocab_size()));
    }
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
  return flags.force ? Status() : pocketglm::CheckMemory(path_, parts, limit);
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

StatusOr<std::string> ReadText(const std::string& path) {
  std::FILE* file = path == "-" ? stdin : std::fopen(path.c_str(), "rb");
  const std::string name = path == "-" ? "standard input" : path;
  if (file == nullptr) return SystemError(name, "open");
  std::string text;
  char buffer[65536];
  for (size_t n;
       text.size() <= kMaxText && (n = std::fread(buffer, 1, sizeof(buffer), file)) != 0;) {
    text.append(buffer, n);
  }
  const bool failed = std::ferror(file) != 0;
  const int error = errno;
  if (file != stdin) std::fclose(file);
  if (failed) return SystemError(name, "read", error);
  if (text.size() > kMaxText) {
    return Status::Error(name + ": expected at most " + std::to_string(kMaxText) +
                         " bytes of text, found more");
  }
  return text;
}

}  // namespace pocketglm
