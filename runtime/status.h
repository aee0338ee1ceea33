// Status and StatusOr<T>: how code that reads the outside world reports failure.
//
// A message is one sentence for a person and names the file, the thing, what was expected and what
// was found: "demo.pglm: tensor layers.0.qkv: expected 131072 bytes, found 131008". Programming
// errors are not statuses; kernels and hot loops use assert.
#ifndef POCKETGLM_RUNTIME_STATUS_H_
#define POCKETGLM_RUNTIME_STATUS_H_

#include <cassert>
#include <cerrno>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace pocketglm {

class [[nodiscard]] Status {
 public:
  Status() = default;  // Success.

  static Status Error(std::string message) {
    assert(!message.empty());
    Status status;
    status.message_ = std::move(message);
    return status;
  }

  bool ok() const { return message_.empty(); }
  const std::string& message() const { return message_; }

 private:
  std::string message_;  // Empty means success.
};

// Either a value or the reason why there is none.
template <class T>
class [[nodiscard]] StatusOr {
 public:
  // Implicit on purpose: functions return a T or a failed Status alike.
  StatusOr(T value) : value_(std::move(value)) {}         // NOLINT(google-explicit-constructor)
  StatusOr(Status status) : status_(std::move(status)) {  // NOLINT(google-explicit-constructor)
    assert(!status_.ok());
  }

  bool ok() const { return value_.has_value(); }
  const Status& status() const { return status_; }
  // For callers that have looked at ok(). NOLINTBEGIN(bugprone-unchecked-optional-access)
  T& operator*() & { return *value_; }
  const T& operator*() const& { return *value_; }
  T&& operator*() && { return *std::move(value_); }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }
  // NOLINTEND(bugprone-unchecked-optional-access)
 private:
  std::optional<T> value_;
  Status status_;
};

// "<name>: cannot <action>: <why>", after a call of the system that failed and left `error`.
Status SystemError(const std::string& name, const std::string& action, int error = errno);

}  // namespace pocketglm

#define POCKETGLM_CONCAT_INNER(a, b) a##b
#define POCKETGLM_CONCAT(a, b) POCKETGLM_CONCAT_INNER(a, b)

// Returns from the enclosing function when `expression` is a failed Status.
#define POCKETGLM_RETURN_IF_ERROR(expression)        \
  do {                                               \
    ::pocketglm::Status status_macro = (expression); \
    if (!status_macro.ok()) return status_macro;     \
  } while (false)

// Assigns the value of a StatusOr to `lhs` (which may declare it) or returns its Status.
#define POCKETGLM_ASSIGN_OR_RETURN(lhs, expression) \
  POCKETGLM_ASSIGN_OR_RETURN_INNER(POCKETGLM_CONCAT(status_or_, __LINE__), lhs, expression)
#define POCKETGLM_ASSIGN_OR_RETURN_INNER(temporary, lhs, expression) \
  auto temporary = (expression);                                     \
  if (!temporary.ok()) return temporary.status();                    \
  lhs = *std::move(temporary)

#endif  // POCKETGLM_RUNTIME_STATUS_H_
