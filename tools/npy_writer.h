// A NumPy .npy file of one [rows, cols] f32 array, written row by row (format version 1.0,
// numpy.lib.format). Appears under its name when complete.
#ifndef POCKETGLM_TOOLS_NPY_WRITER_H_
#define POCKETGLM_TOOLS_NPY_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "runtime/atomic_file.h"
#include "runtime/status.h"

namespace pocketglm {

class NpyWriter {
 public:
  static StatusOr<NpyWriter> Create(const std::string& path, size_t rows, size_t cols);

  // Rows come in order, each of `cols` values; all of them before Commit.
  Status WriteRow(std::span<const float> row);
  Status Commit();

 private:
  NpyWriter(AtomicFile file, uint64_t bytes) : file_(std::move(file)), bytes_(bytes) {}

  AtomicFile file_;
  uint64_t bytes_;  // Written so far.
};

}  // namespace pocketglm

#endif  // POCKETGLM_TOOLS_NPY_WRITER_H_
