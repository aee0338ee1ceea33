// XXH3-128 (https://github.com/Cyan4973/xxHash), the hash of tensors in model files: fast enough to
// check a file at the speed it is read. It finds damage, not forgery.
#ifndef POCKETGLM_RUNTIME_HASH_H_
#define POCKETGLM_RUNTIME_HASH_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace pocketglm {

inline constexpr size_t kHashHexDigits = 32;

// Hashes bytes that arrive in pieces; the pieces' boundaries do not matter.
class Hasher {
 public:
  Hasher();
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;
  ~Hasher();

  void Update(std::span<const uint8_t> bytes);
  // The hash of all bytes since construction or the last Finish, as 32 lower-case hex digits, most
  // significant first: what `xxhsum -H128` prints. Starts anew.
  std::string Finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace pocketglm

#endif  // POCKETGLM_RUNTIME_HASH_H_
