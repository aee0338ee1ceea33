#include "runtime/aligned_buffer.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>

namespace pocketglm {

AlignedBuffer::~AlignedBuffer() {
  if (data_ != nullptr) munmap(data_, size_);
}

StatusOr<AlignedBuffer> AlignedBuffer::Create(size_t bytes, const std::string& what) {
  AlignedBuffer buffer;
  if (bytes == 0) return buffer;
  void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) {
    return Status::Error(what + ": cannot allocate " + std::to_string(bytes) +
                         " bytes: " + std::strerror(errno));
  }
  buffer.data_ = static_cast<uint8_t*>(data);
  buffer.size_ = bytes;
  return buffer;
}

}  // namespace pocketglm
