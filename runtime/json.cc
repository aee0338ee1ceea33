#include "runtime/json.h"

#include <algorithm>
#include <cstddef>
#include <set>
#include <vector>

namespace pocketglm {
namespace {

constexpr size_t kMaxDepth = 32;
constexpr size_t kMaxShown = 120;

// Reads events only and stops at the first thing that is refused, so that hostile nesting costs no
// memory. What passes here is then parsed into a tree.
class StrictReader final : public nlohmann::json_sax<Json> {
 public:
  const std::string& complaint() const { return complaint_; }

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(size_t) override { return Open(); }
  bool start_array(size_t) override { return Open(); }
  bool end_object() override { return Close(); }
  bool end_array() override { return Close(); }

  bool key(string_t& name) override {
    if (keys_.back().insert(name).second) return true;
    return Refuse("key \"" + ShownText(name) + "\" occurs twice");
  }

  bool parse_error(size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    return Refuse("not valid JSON at byte " + std::to_string(position));
  }

 private:
  bool Open() {
    if (keys_.size() == kMaxDepth) {
      return Refuse("JSON is nested deeper than " + std::to_string(kMaxDepth) + " levels");
    }
    keys_.emplace_back();
    return true;
  }

  bool Close() {
    keys_.pop_back();
    return true;
  }

  bool Refuse(std::string complaint) {
    complaint_ = std::move(complaint);
    return false;
  }

  std::vector<std::set<std::string>> keys_;  // One set per open object or array.
  std::string complaint_;
};

}  // namespace

StatusOr<Json> ParseJsonObject(std::string_view text, const std::string& where) {
  StrictReader reader;
  if (!Json::sax_parse(text.begin(), text.end(), &reader)) {
    return Status::Error(where + ": " + reader.complaint());
  }
  Json json = Json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) {
    return Status::Error(where + ": expected a JSON object, found " + Shown(json));
  }
  return json;
}

const Json* FindMember(const Json& object, const char* key) {
  const auto member = object.find(key);
  return member == object.end() || member->is_null() ? nullptr : &*member;
}

std::string Shown(const Json& value) {
  std::string text = value.dump(-1, ' ', /*ensure_ascii=*/true, Json::error_handler_t::replace);
  if (text.size() > kMaxShown) text = text.substr(0, kMaxShown) + "...";
  // DEL is the one control character that JSON leaves as it is.
  std::replace(text.begin(), text.end(), '\x7f', '?');
  return text;
}

std::string ShownText(std::string_view text) {
  const std::string quoted = Shown(Json(std::string(text)));
  const bool shortened = quoted.back() != '"';
  return quoted.substr(1, quoted.size() - (shortened ? 1 : 2));
}

}  // namespace pocketglm
