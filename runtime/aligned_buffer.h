// Zeroed memory for f32 and cache arrays: starts at a page, is backed lazily by the kernel (what is
// never touched costs nothing) and is given back on destruction.
#ifndef POCKETGLM_RUNTIME_ALIGNED_BUFFER_H_
#define POCKETGLM_RUNTIME_ALIGNED_BUFFER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "runtime/status.h"

namespace pocketglm {

class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  ~AlignedBuffer();
  AlignedBuffer(AlignedBuffer&& other) noexcept { *this = std::move(other); }
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }

  // `what` names the buffer in the message when the system has no memory for it.
  static StatusOr<AlignedBuffer> Create(size_t bytes, const std::string& what);

  uint8_t* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace pocketglm

#endif  // POCKETGLM_RUNTIME_ALIGNED_BUFFER_H_
