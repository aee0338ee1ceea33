#include "runtime/pre_tokenizer.h"

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "runtime/utf8.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

namespace pocketglm {
namespace {

// Rewrites a pattern written for tokenizers into one that means the same to PCRE2, or says which
// part has no equivalent. It knows just enough syntax for that; PCRE2 judges the rest.
class Translator {
 public:
  Translator(std::string_view pattern, const std::string& where)
      : rest_(pattern), size_(pattern.size()), where_(where) {}

  StatusOr<std::string> Translate() {
    while (!rest_.empty()) {
      if (rest_.front() == '\\') {
        POCKETGLM_RETURN_IF_ERROR(Escape());
      } else if (in_class_) {
        POCKETGLM_RETURN_IF_ERROR(InClass());
      } else {
        POCKETGLM_RETURN_IF_ERROR(OutsideClass());
      }
    }
    return std::move(out_);
  }

 private:
  Status Refuse(size_t length, const char* reason) const {
    return Status::Error(where_ + ": expected a pattern that means the same to PCRE2, found '" +
                         std::string(rest_.substr(0, length)) + "' at byte " +
                         std::to_string(size_ - rest_.size()) + ": " + reason);
  }

  void Copy(size_t length) {
    out_.append(rest_.substr(0, length));
    rest_.remove_prefix(length);
  }

  void Replace(size_t length, std::string_view by) {
    out_.append(by);
    rest_.remove_prefix(length);
  }

  Status Escape() {
    if (rest_.size() < 2) return Refuse(1, "nothing follows the backslash");
    switch (const char c = rest_[1]; c) {
      case 's':
        Replace(2, "\\p{White_Space}");
        return Status();
      case 'S':
        Replace(2, "\\P{White_Space}");
        return Status();
      case 'p':
      case 'P':
        return Category();
      case 'd':
      case 'D':
      case 'f':
      case 'n':
      case 'r':
      case 't':
      case 'x':
        Copy(2);
        return Status();
      default:
        const bool alphanumeric =
            (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (alphanumeric) return Refuse(2, "this escape differs between regex engines");
        Copy(2);
        return Status();
    }
  }

  // \pL, \p{L}, \p{Lu}: general categories only. PCRE2's \p{Han} is Script_Extensions=Han, others'
  // is Script=Han, and under (?i) the engines disagree about \p{Lu}.
  Status Category() {
    const std::string_view name = rest_.substr(2);
    const bool braces = name.starts_with('{');
    const size_t letters = braces ? name.find('}') - 1 : 1;  // find may fail: huge, refused below.
    const size_t length = 2 + letters + (braces ? 2 : 0);
    constexpr std::string_view kGroups = "LMNPSZC";
    if (letters < 1 || letters > 2 || length > rest_.size() ||
        kGroups.find(name[braces ? 1 : 0]) == kGroups.npos ||
        (letters == 2 && (name[2] < 'a' || name[2] > 'z'))) {
      return Refuse(3, "only general categories such as \\p{L} or \\p{Lu} are known");
    }
    if (caseless_since_) return Refuse(length, "a category inside a group that ignores case");
    Copy(length);
    return Status();
  }

  Status InClass() {
    if (rest_.front() == '[') return Refuse(1, "a class inside a class");
    for (const std::string_view set_operator : {"&&", "--", "~~"}) {
      if (rest_.starts_with(set_operator)) return Refuse(2, "an operation on classes");
    }
    if (rest_.front() == ']') in_class_ = false;
    Copy(1);
    return Status();
  }

  Status OutsideClass() {
    switch (rest_.front()) {
      case '[':
        in_class_ = true;
        Copy(rest_.starts_with("[^") ? 2 : 1);
        if (rest_.starts_with(']')) return Refuse(1, "a class that begins with its end");
        return Status();
      case '(':
        return Group();
      case ')':
        if (caseless_since_ == depth_) caseless_since_.reset();
        --depth_;
        Copy(1);
        return Status();
      default:
        Copy(1);
        return Status();
    }
  }

  Status Group() {
    ++depth_;
    if (rest_.starts_with("(*")) return Refuse(2, "a PCRE2 verb");
    if (!rest_.starts_with("(?")) {
      Copy(1);
      return Status();
    }
    for (const std::string_view group : {"(?:", "(?i:", "(?=", "(?!", "(?<=", "(?<!", "(?>"}) {
      if (!rest_.starts_with(group)) continue;
      if (group == "(?i:" && !caseless_since_) caseless_since_ = depth_;
      Copy(group.size());
      return Status();
    }
    return Refuse(3, "of the groups with (? only (?: (?i: (?> and look-around are known");
  }

  std::string_view rest_;
  const size_t size_;
  const std::string& where_;
  std::string out_;
  bool in_class_ = false;
  int depth_ = 0;                      // Open groups.
  std::optional<int> caseless_since_;  // The depth at which (?i: was opened.
};

std::string ErrorText(int code) {
  PCRE2_UCHAR8 text[256];
  pcre2_get_error_message_8(code, text, sizeof(text));
  return reinterpret_cast<const char*>(text);
}

struct FreePcre2 {
  void operator()(pcre2_compile_context_8* context) const { pcre2_compile_context_free_8(context); }
  void operator()(pcre2_match_context_8* context) const { pcre2_match_context_free_8(context); }
  void operator()(pcre2_match_data_8* data) const { pcre2_match_data_free_8(data); }
  void operator()(pcre2_jit_stack_8* stack) const { pcre2_jit_stack_free_8(stack); }
};

constexpr size_t kMaxPatternBytes = 1 << 14;

// Upper bound of the stack that just-in-time compiled code may use for backtracking.
constexpr size_t kJitStackBytes = 1 << 20;

}  // namespace

void PreTokenizer::FreeCode::operator()(pcre2_real_code_8* code) const { pcre2_code_free_8(code); }

StatusOr<PreTokenizer> PreTokenizer::Compile(std::string_view pattern, const std::string& where) {
  if (pattern.size() > kMaxPatternBytes) {
    return Status::Error(where + ": expected at most " + std::to_string(kMaxPatternBytes) +
                         " bytes, found " + std::to_string(pattern.size()));
  }
  // PCRE2 reads only as far as the first ill-formed byte; its message would name a strange offset.
  if (const size_t valid = ValidUtf8Prefix(pattern); valid != pattern.size()) {
    return Status::Error(where + ": expected UTF-8, found an invalid sequence at byte " +
                         std::to_string(valid));
  }
  POCKETGLM_ASSIGN_OR_RETURN(const std::string translated, Translator(pattern, where).Translate());

  // "." stops at a line feed only and "$" matches at the very end only, as in tokenizers.
  const std::unique_ptr<pcre2_compile_context_8, FreePcre2> context(
      pcre2_compile_context_create_8(nullptr));
  pcre2_set_newline_8(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  size_t error_offset = 0;
  PreTokenizer result;
  result.where_ = where;
  result.code_.reset(pcre2_compile_8(
      reinterpret_cast<PCRE2_SPTR8>(translated.data()), translated.size(),
      PCRE2_UTF | PCRE2_UCP | PCRE2_DOLLAR_ENDONLY, &error, &error_offset, context.get()));
  if (result.code_ == nullptr) {
    return Status::Error(where + ": expected a pattern PCRE2 can compile, found '" + translated +
                         "': " + ErrorText(error) + " at byte " + std::to_string(error_offset));
  }
  uint32_t matches_empty = 0;
  pcre2_pattern_info_8(result.code_.get(), PCRE2_INFO_MATCHEMPTY, &matches_empty);
  if (matches_empty != 0) {
    return Status::Error(where +
                         ": expected a pattern that matches at least one character, found '" +
                         std::string(pattern) + "'");
  }
  // May fail where memory cannot be made executable; the interpreter then does the same, slower.
  pcre2_jit_compile_8(result.code_.get(), PCRE2_JIT_COMPLETE);
  return result;
}

Status PreTokenizer::Split(std::string_view text, std::vector<std::string_view>* pieces) const {
  assert(ValidUtf8Prefix(text) == text.size());
  pieces->clear();
  const std::unique_ptr<pcre2_match_data_8, FreePcre2> match(pcre2_match_data_create_8(1, nullptr));
  const std::unique_ptr<pcre2_match_context_8, FreePcre2> context(
      pcre2_match_context_create_8(nullptr));
  const std::unique_ptr<pcre2_jit_stack_8, FreePcre2> stack(
      pcre2_jit_stack_create_8(kJitStackBytes / 32, kJitStackBytes, nullptr));
  pcre2_jit_stack_assign_8(context.get(), nullptr, stack.get());

  size_t done = 0;  // Everything before this offset is in *pieces.
  while (done < text.size()) {
    // The check for UTF-8 would read all of the text for every piece.
    const auto find = [&](uint32_t options) {
      return pcre2_match_8(code_.get(), reinterpret_cast<PCRE2_SPTR8>(text.data()), text.size(),
                           done, PCRE2_NO_UTF_CHECK | options, match.get(), context.get());
    };
    int found = find(0);
    // The interpreter backtracks on the heap and gets further.
    if (found == PCRE2_ERROR_JIT_STACKLIMIT) found = find(PCRE2_NO_JIT);
    if (found == PCRE2_ERROR_NOMATCH) break;
    if (found < 0) {
      return Status::Error(where_ + ": expected a match or none, found at byte " +
                           std::to_string(done) + " of the text: " + ErrorText(found));
    }
    const size_t begin = pcre2_get_ovector_pointer_8(match.get())[0];
    const size_t end = pcre2_get_ovector_pointer_8(match.get())[1];
    if (begin > done) pieces->push_back(text.substr(done, begin - done));
    pieces->push_back(text.substr(begin, end - begin));
    done = end;
  }
  if (done < text.size()) pieces->push_back(text.substr(done));
  return Status();
}

}  // namespace pocketglm
