#include "tools/chat.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>
#include <system_error>
#include <vector>

#include "runtime/atomic_file.h"
#include "tools/command_line.h"
#include "tools/line_reader.h"
#include "tools/signals.h"

namespace pocketglm {
namespace {

// A message for the person in front of the terminal.
void Note(const std::string& message) { std::fprintf(stderr, "%s\n", message.c_str()); }

std::string WithoutSpaces(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  return std::string(text.substr(0, text.find_last_not_of(" \t") + 1));
}

std::string Turns(size_t count) {
  return std::to_string(count) + (count == 1 ? " turn" : " turns");
}

Status WriteText(const std::string& path, const std::string& text) {
  POCKETGLM_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(path, text.size()));
  POCKETGLM_RETURN_IF_ERROR(
      file.WriteAt(0, {reinterpret_cast<const uint8_t*>(text.data()), text.size()}));
  return file.Commit();
}

class Chatter {
 public:
  Chatter(Engine& engine, Conversation& conversation, const ChatOptions& options)
      : engine_(engine), conversation_(conversation), options_(options) {
    Restart();
  }

  int Run();

 private:
  struct Command {
    std::string_view name;
    std::string_view argument;  // What it takes; empty: nothing.
    std::string_view help;
    void (Chatter::*run)(const std::string& argument);
  };
  static const Command kCommands[];

  // Says what was entered, and prints the answer.
  void Say(const std::string& text);
  // Does what a line that starts with / says.
  void Obey(const std::string& line);

  void Help(const std::string&);
  void ShowStats(const std::string&);
  void Save(const std::string& path) { WriteTranscript(path, /*replace=*/false); }
  void Replace(const std::string& path) { WriteTranscript(path, /*replace=*/true); }
  void Forget(const std::string&);
  void Reset(const std::string&);
  void Quit(const std::string&) { ended_ = true; }

  void Restart();
  void WriteTranscript(const std::string& path, bool replace);
  void Fail(const Status& status);
  std::string ContextUse() const;
  void PrintChoices() const;

  Engine& engine_;
  Conversation& conversation_;
  const ChatOptions& options_;
  const bool terminal_ = OnTerminal();
  std::optional<Sampler> sampler_;
  std::optional<GenerateResult> last_;
  size_t read_ = 0;       // Tokens computed for messages, and
  size_t generated_ = 0;  // those of all answers.
  std::string transcript_;
  int exit_code_ = kExitOk;
  bool ended_ = false;
};

constexpr Chatter::Command Chatter::kCommands[] = {
    {"/help", "", "show this list", &Chatter::Help},
    {"/stats", "", "show the speed of the last answer and the use of the context",
     &Chatter::ShowStats},
    {"/save", "FILE", "write the conversation as text; refuses a file that exists", &Chatter::Save},
    {"/save!", "FILE", "the same, but replaces the file", &Chatter::Replace},
    {"/forget", "", "forget the oldest turns, until half of the context is free", &Chatter::Forget},
    {"/reset", "", "start over; the system message stays", &Chatter::Reset},
    {"/quit", "", "end the conversation, as Ctrl-D does", &Chatter::Quit},
};

int Chatter::Run() {
  const std::unique_ptr<LineReader> reader = LineReader::Create();
  if (terminal_) {
    Note(options_.model + ", context of " + std::to_string(conversation_.context()) +
         " tokens. /help lists the commands, Ctrl-D ends the conversation.");
  }
  if (options_.first_message) Say(*options_.first_message);
  bool interrupted_before = false;
  while (!ended_) {
    if (Interrupted() && !terminal_) return kExitInterrupted;
    ClearInterrupt();
    Entry entry;
    const ReadResult result = ReadEntry(*reader, &entry);
    if (result == ReadResult::kEnd) break;
    if (result == ReadResult::kInterrupted) {
      if (terminal_ && interrupted_before) Note("(Ctrl-D ends the conversation)");
      interrupted_before = true;
      continue;
    }
    interrupted_before = false;
    if (entry.one_line && entry.text.starts_with('/')) {
      Obey(entry.text);
    } else if (!entry.text.empty()) {
      Say(entry.text);
    }
  }
  return exit_code_;
}

void Chatter::Say(const std::string& text) {
  const StatusOr<std::vector<int32_t>> message = conversation_.Encode(text);
  if (!message.ok()) return Fail(message.status());
  if (!conversation_.Fits(*message)) {
    Fail(Status::Error("the message has " + std::to_string(message->size()) + " tokens, and " +
                       ContextUse() + ": expected room for it and an answer"));
    return PrintChoices();
  }
  Sampler& sampler = *sampler_;  // NOLINT(bugprone-unchecked-optional-access): by Restart().
  const StatusOr<Answer> answer =
      PrintAnswer(conversation_, *message, sampler, options_.max_tokens);
  if (!answer.ok()) {
    Fail(answer.status());
    exit_code_ = kExitError;
    ended_ = true;
    return;
  }
  if (answer->reader_left) ended_ = true;
  if (answer->result.reason == StopReason::kCallback && answer->result.generated_tokens == 0) {
    return Note("stopped before the message was read; it is not part of the conversation");
  }
  last_ = answer->result;
  read_ += last_->prompt_tokens;
  generated_ += last_->generated_tokens;
  transcript_ += "user:\n" + text + "\n\nassistant:\n" + answer->text + "\n\n";
  PrintStats(options_.stats, engine_, options_.model, conversation_, *last_);
  if (last_->reason == StopReason::kContextFull) {
    Note(options_.program + ": the context is full, and the answer was cut off: " + ContextUse());
    PrintChoices();
  }
}

void Chatter::Obey(const std::string& line) {
  const size_t space = std::min(line.find_first_of(" \t"), line.size());
  const std::string name = line.substr(0, space);
  const std::string argument = WithoutSpaces(std::string_view(line).substr(space));
  const auto* command = std::find_if(std::begin(kCommands), std::end(kCommands),
                                     [&](const Command& known) { return known.name == name; });
  if (command == std::end(kCommands)) {
    std::string names;
    for (const Command& known : kCommands) {
      names += (names.empty() ? "" : ", ") + std::string(known.name);
    }
    return Fail(Status::Error("expected a command of " + names + ", found " + name +
                              "; a message may start with / after a space"));
  }
  if (argument.empty() != command->argument.empty()) {
    return Fail(Status::Error(name + ": expected " +
                              (command->argument.empty()
                                   ? "nothing after it, found " + argument
                                   : std::string(command->argument) + ", found nothing")));
  }
  (this->*command->run)(argument);
}

void Chatter::Help(const std::string&) {
  for (const Command& command : kCommands) {
    const std::string usage = std::string(command.name) + " " + std::string(command.argument);
    std::fprintf(stderr, "  %-12s %s\n", usage.c_str(), std::string(command.help).c_str());
  }
  Note(
      "A line that ends in \\ goes on in the next. Lines between two lines \"\"\" are one "
      "message.\n"
      "A message may start with / after a space.\n"
      "Ctrl-C stops the answer or clears the line, Ctrl-D ends the conversation.");
}

void Chatter::ShowStats(const std::string&) {
  if (last_) PrintStats(StatsForm::kText, engine_, options_.model, conversation_, *last_);
  Note(Turns(conversation_.turns()) + ", " + ContextUse() + "; " + std::to_string(read_) +
       " tokens read and " + std::to_string(generated_) + " generated in all");
}

void Chatter::WriteTranscript(const std::string& path, bool replace) {
  std::error_code error;
  if (!replace && std::filesystem::exists(path, error)) {
    return Fail(Status::Error(path + ": expected no such file, found one; /save! " + path +
                              " replaces it"));
  }
  if (const Status status = WriteText(path, transcript_); !status.ok()) return Fail(status);
  Note(path + ": saved");
}

void Chatter::Forget(const std::string&) {
  const size_t count = conversation_.ForgetOldest();
  Note("forgot " + Turns(count) + ", " + std::to_string(conversation_.turns()) + " left; " +
       ContextUse());
}

void Chatter::Reset(const std::string&) {
  conversation_.Reset();
  Restart();
  Note("a new conversation; " + ContextUse());
}

void Chatter::Restart() {
  sampler_.emplace(options_.sampling, engine_.kernels(), engine_.sampled_vocab_size());
  last_.reset();
  read_ = generated_ = 0;
  transcript_ = options_.system.empty() ? "" : "system:\n" + options_.system + "\n\n";
}

void Chatter::Fail(const Status& status) {
  PrintError(options_.program.c_str(), status);
  if (!terminal_) exit_code_ = kExitError;
}

std::string Chatter::ContextUse() const {
  const size_t context = conversation_.context();
  const size_t used = std::min(conversation_.tokens().size(), context);
  return std::to_string(used) + " of " + std::to_string(context) +
         " tokens of the context are used";
}

void Chatter::PrintChoices() const {
  const size_t longest = engine_.model().config().max_position_embeddings;
  std::string choices;
  if (conversation_.turns() != 0) {
    choices = "/forget forgets the oldest turns, /reset all; /save FILE keeps the text first.";
  } else {
    choices = "Say it in fewer words.";
  }
  if (conversation_.context() < longest) {
    choices += " A larger -c makes more room, up to " + std::to_string(longest) + " tokens.";
  }
  Note(choices);
}

}  // namespace

int Chat(Engine& engine, Conversation& conversation, const ChatOptions& options) {
  return Chatter(engine, conversation, options).Run();
}

}  // namespace pocketglm
