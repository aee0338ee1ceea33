#include "tools/line_editor.h"

#include <histedit.h>
#include <locale.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cwchar>
#include <string>
#include <string_view>

#include "tools/signals.h"

namespace pocketglm {
namespace {

constexpr int kHistoryLines = 1000;

// Typed while an answer was written, when the terminal still cared for the end of input itself,
// this key comes as a NUL.
constexpr wchar_t kCtrlD = L'\x04';

// What a terminal does when asked to: pasted text comes between two marks, so that its line breaks
// do not each end a line.
constexpr const char* kMarkPastes = "\033[?2004h";
constexpr const char* kMarkNoPastes = "\033[?2004l";
constexpr const char* kClearFromHere = "\r\033[J";  // From the start of the cursor's line.
constexpr const char* kPasteBegin = "\\e[200~";     // As libedit spells keys.
constexpr std::wstring_view kPasteEnd = L"\033[201~";

// libedit asks the C library what a character is. A locale of this thread alone says UTF-8, and
// only while libedit is at work: the program's own stays "C".
class Utf8Locale {
 public:
  explicit Utf8Locale(locale_t locale) : before_(uselocale(locale)) {}
  Utf8Locale(const Utf8Locale&) = delete;
  Utf8Locale& operator=(const Utf8Locale&) = delete;
  ~Utf8Locale() { uselocale(before_); }

 private:
  locale_t before_;
};

class LineEditor : public LineReader {
 public:
  explicit LineEditor(locale_t locale) : locale_(locale) {
    const Utf8Locale utf8(locale_);
    HistEvent event;
    history_ = history_init();
    history(history_, &event, H_SETSIZE, kHistoryLines);
    history(history_, &event, H_SETUNIQUE, 1);
    editor_ = el_init("pocketglm", stdin, stderr, stderr);
    el_set(editor_, EL_CLIENTDATA, this);
    el_set(editor_, EL_PROMPT, &Prompt);
    el_set(editor_, EL_HIST, &history, history_);
    el_set(editor_, EL_GETCFN, &ReadCharacter);
    el_set(editor_, EL_EDITOR, "emacs");
    // With wide strings, because el_set copies narrow ones and never frees them.
    el_wset(editor_, EL_ADDFN, L"paste", L"Insert what is pasted", &InsertPaste);
    el_source(editor_, nullptr);
    el_set(editor_, EL_BIND, kPasteBegin, "paste", nullptr);
    CatchRedrawSignals();
  }
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;
  ~LineEditor() override {
    el_end(editor_);
    history_end(history_);
    freelocale(locale_);
  }

  ReadResult Read(const char* prompt, std::string* line) override {
    const Utf8Locale utf8(locale_);
    prompt_ = prompt;
    interrupted_ = false;
    // libedit shows the prompt first and takes the terminal then; keys typed in between would still
    // be the terminal's to edit.
    el_set(editor_, EL_PREP_TERM, 1);
    std::fputs(kMarkPastes, stderr);
    int count = 0;
    const char* text = el_gets(editor_, &count);
    std::fputs(kMarkNoPastes, stderr);
    if (text == nullptr || count <= 0) {
      std::fputs(interrupted_ ? "^C\n" : "\n", stderr);
      return interrupted_ ? ReadResult::kInterrupted : ReadResult::kEnd;
    }
    *line = std::string(text, static_cast<size_t>(count));
    if (line->ends_with('\n')) line->pop_back();
    HistEvent event;
    if (!line->empty()) history(history_, &event, H_ENTER, line->c_str());
    return ReadResult::kLine;
  }

 private:
  static LineEditor& Self(EditLine* editor) {
    void* self = nullptr;
    el_get(editor, EL_CLIENTDATA, &self);
    return *static_cast<LineEditor*>(self);
  }

  static char* Prompt(EditLine* editor) { return const_cast<char*>(Self(editor).prompt_); }

  // As libedit wants it: 1 and a character, or -1 where there is none.
  static int ReadCharacter(EditLine* editor, wchar_t* character) {
    std::mbstate_t state = {};
    for (char byte; Self(editor).ReadByte(&byte);) {
      const size_t result = std::mbrtowc(character, &byte, 1, &state);
      if (result == static_cast<size_t>(-2)) continue;  // Goes on in the next byte.
      if (result == static_cast<size_t>(-1)) *character = L'\uFFFD';
      if (result == 0) *character = kCtrlD;
      return 1;
    }
    return -1;
  }

  bool ReadByte(char* byte) {
    for (;;) {
      switch (WaitForInput(STDIN_FILENO)) {
        case Wakeup::kInput:
          return read(STDIN_FILENO, byte, 1) == 1;
        case Wakeup::kInterrupt:
          interrupted_ = true;
          return false;
        case Wakeup::kRedraw:
          el_resize(editor_);
          std::fputs(kClearFromHere, stderr);
          // While the program was stopped the shell had the terminal its way.
          el_set(editor_, EL_PREP_TERM, 0);
          el_set(editor_, EL_PREP_TERM, 1);
          el_set(editor_, EL_REFRESH);
      }
    }
  }

  static unsigned char InsertPaste(EditLine* editor, int) {
    std::wstring text;
    for (wchar_t c; !text.ends_with(kPasteEnd);) {
      if (el_wgetc(editor, &c) != 1) return CC_EOF;
      text += c == L'\r' ? L'\n' : c;
    }
    text.resize(text.size() - kPasteEnd.size());
    while (text.ends_with(L'\n')) text.pop_back();
    return el_winsertstr(editor, text.c_str()) == 0 ? CC_REFRESH : CC_ERROR;
  }

  const locale_t locale_;
  History* history_;
  EditLine* editor_;
  const char* prompt_ = "";
  bool interrupted_ = false;
};

}  // namespace

std::unique_ptr<LineReader> CreateLineEditor() {
  const char* terminal = std::getenv("TERM");
  if (terminal == nullptr || std::string_view(terminal) == "dumb") return nullptr;
  locale_t locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  if (locale == nullptr) locale = newlocale(LC_CTYPE_MASK, "en_US.UTF-8", nullptr);
  if (locale == nullptr) return nullptr;
  return std::make_unique<LineEditor>(locale);
}

}  // namespace pocketglm
