#include "tools/npy_writer.h"

#include <bit>
#include <utility>

namespace pocketglm {

static_assert(std::endian::native == std::endian::little, "rows are written as they lie in memory");

StatusOr<NpyWriter> NpyWriter::Create(const std::string& path, size_t rows, size_t cols) {
  // Magic, version 1.0, length of the dictionary; all of it a multiple of 64 bytes.
  std::string dictionary = "{'descr': '<f4', 'fortran_order': False, 'shape': (" +
                           std::to_string(rows) + ", " + std::to_string(cols) + "), }";
  constexpr size_t kPrefix = 10;
  while ((kPrefix + dictionary.size() + 1) % 64 != 0) dictionary += ' ';
  dictionary += '\n';
  std::string header = "\x93NUMPY";
  header += {'\x01', '\x00', static_cast<char>(dictionary.size() % 256),
             static_cast<char>(dictionary.size() / 256)};
  header += dictionary;

  POCKETGLM_ASSIGN_OR_RETURN(
      AtomicFile file,
      AtomicFile::Create(path, header.size() + uint64_t{rows} * cols * sizeof(float)));
  POCKETGLM_RETURN_IF_ERROR(
      file.WriteAt(0, {reinterpret_cast<const uint8_t*>(header.data()), header.size()}));
  return NpyWriter(std::move(file), header.size());
}

Status NpyWriter::WriteRow(std::span<const float> row) {
  const uint64_t offset = bytes_;
  bytes_ += row.size_bytes();
  return file_.WriteAt(offset, {reinterpret_cast<const uint8_t*>(row.data()), row.size_bytes()});
}

Status NpyWriter::Commit() { return file_.Commit(); }

}  // namespace pocketglm
