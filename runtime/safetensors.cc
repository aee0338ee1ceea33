#include "runtime/safetensors.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>
#include <tuple>

#include "runtime/json.h"

namespace pocketglm {
namespace {

static_assert(std::endian::native == std::endian::little, "tensor data is used as it lies");

constexpr size_t kLengthBytes = 8;
constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // The reference implementation's limit.
constexpr const char* kMetadataKey = "__metadata__";

struct DtypeInfo {
  const char* name;
  Dtype dtype;
  size_t bytes;
};

// Dtypes whose element size is a whole number of bytes. Of others the length cannot be checked.
constexpr DtypeInfo kDtypes[] = {
    {"F32", Dtype::kF32, 4},   {"F16", Dtype::kF16, 2},    {"BF16", Dtype::kBf16, 2},
    {"U8", Dtype::kU8, 1},     {"BOOL", Dtype::kOther, 1}, {"I8", Dtype::kOther, 1},
    {"I16", Dtype::kOther, 2}, {"U16", Dtype::kOther, 2},  {"I32", Dtype::kOther, 4},
    {"U32", Dtype::kOther, 4}, {"I64", Dtype::kOther, 8},  {"U64", Dtype::kOther, 8},
    {"F64", Dtype::kOther, 8},
};

const DtypeInfo* FindDtype(std::string_view name) {
  for (const DtypeInfo& info : kDtypes) {
    if (name == info.name) return &info;
  }
  return nullptr;
}

const DtypeInfo& InfoOf(Dtype dtype) {
  assert(dtype != Dtype::kOther);
  return *std::find_if(std::begin(kDtypes), std::end(kDtypes),
                       [&](const DtypeInfo& info) { return info.dtype == dtype; });
}

bool MultiplyOverflows(uint64_t a, uint64_t b, uint64_t* product) {
  return __builtin_mul_overflow(a, b, product);
}

// A tensor's entry with its offsets still relative to the data.
struct Entry {
  Tensor tensor;
  uint64_t begin = 0;
  uint64_t end = 0;
};

Status ParseMetadata(const Json& json, const std::string& where,
                     std::map<std::string, std::string>* metadata) {
  if (!json.is_object()) {
    return Status::Error(where + ": __metadata__: expected an object, found " + Shown(json));
  }
  for (const auto& [key, value] : json.items()) {
    if (!value.is_string()) {
      return Status::Error(where + ": __metadata__ " + ShownText(key) +
                           ": expected a string, found " + Shown(value));
    }
    metadata->emplace(key, value.get<std::string>());
  }
  return {};
}

// Reads a list of non-negative integers. `expected` describes it in the message.
Status ParseIntegers(const Json* json, const std::string& thing, const char* expected,
                     std::vector<uint64_t>* values) {
  const bool valid =
      json != nullptr && json->is_array() &&
      std::all_of(json->begin(), json->end(), [](const Json& v) { return v.is_number_unsigned(); });
  if (!valid) {
    return Status::Error(thing + ": expected " + expected + ", found " +
                         (json == nullptr ? "nothing" : Shown(*json)));
  }
  *values = json->get<std::vector<uint64_t>>();
  return {};
}

// Checks the length [begin, end) against dtype and shape.
Status CheckLength(const Entry& entry, const std::string& thing) {
  uint64_t elements = 1;
  for (const uint64_t extent : entry.tensor.shape) {
    if (MultiplyOverflows(elements, extent, &elements)) {
      return Status::Error(thing + ": shape " +
                           ShapeText(entry.tensor.dtype_name, entry.tensor.shape) +
                           " exceeds 64 bits");
    }
  }
  const DtypeInfo* info = FindDtype(entry.tensor.dtype_name);
  if (info == nullptr) return {};
  uint64_t bytes = 0;
  if (MultiplyOverflows(elements, info->bytes, &bytes)) {
    return Status::Error(thing + ": shape " +
                         ShapeText(entry.tensor.dtype_name, entry.tensor.shape) +
                         " exceeds 64 bits");
  }
  if (bytes != entry.end - entry.begin) {
    return Status::Error(thing + ": expected " + std::to_string(bytes) + " bytes for " +
                         ShapeText(entry.tensor.dtype_name, entry.tensor.shape) + ", found " +
                         std::to_string(entry.end - entry.begin));
  }
  return {};
}

StatusOr<Entry> ParseEntry(const std::string& name, const Json& json, uint64_t data_bytes,
                           const std::string& path) {
  const std::string thing = path + ": tensor " + ShownText(name);
  if (!json.is_object()) {
    return Status::Error(thing + ": expected an object, found " + Shown(json));
  }
  const Json* dtype = FindMember(json, "dtype");
  if (dtype == nullptr || !dtype->is_string()) {
    return Status::Error(thing + ": dtype: expected a string, found " +
                         (dtype == nullptr ? "nothing" : Shown(*dtype)));
  }
  Entry entry;
  entry.tensor.name = name;
  entry.tensor.dtype_name = dtype->get<std::string>();
  const DtypeInfo* info = FindDtype(entry.tensor.dtype_name);
  entry.tensor.dtype = info == nullptr ? Dtype::kOther : info->dtype;

  POCKETGLM_RETURN_IF_ERROR(ParseIntegers(FindMember(json, "shape"), thing + ": shape",
                                          "a list of non-negative integers", &entry.tensor.shape));
  std::vector<uint64_t> offsets;
  POCKETGLM_RETURN_IF_ERROR(ParseIntegers(FindMember(json, "data_offsets"),
                                          thing + ": data_offsets", "two non-negative integers",
                                          &offsets));
  if (offsets.size() != 2 || offsets[0] > offsets[1]) {
    return Status::Error(thing + ": data_offsets: expected [begin, end] with begin <= end, found " +
                         Shown(json["data_offsets"]));
  }
  entry.begin = offsets[0];
  entry.end = offsets[1];
  if (entry.end > data_bytes) {
    return Status::Error(thing + ": data_offsets: expected an end of at most " +
                         std::to_string(data_bytes) + " (the file's data), found " +
                         std::to_string(entry.end));
  }
  POCKETGLM_RETURN_IF_ERROR(CheckLength(entry, thing));
  return entry;
}

// Expects the sorted entries to cover [0, data_bytes) exactly.
Status CheckCoverage(const std::vector<Entry>& entries, uint64_t data_bytes,
                     const std::string& path) {
  uint64_t covered = 0;
  for (const Entry& entry : entries) {
    if (entry.begin != covered) {
      return Status::Error(path + ": tensor " + ShownText(entry.tensor.name) +
                           ": expected its data at offset " + std::to_string(covered) + ", found " +
                           std::to_string(entry.begin) +
                           (entry.begin < covered ? " (tensors overlap)" : " (a hole before it)"));
    }
    covered = entry.end;
  }
  if (covered != data_bytes) {
    return Status::Error(path + ": expected " + std::to_string(covered) +
                         " bytes of tensor data, found " + std::to_string(data_bytes));
  }
  return {};
}

// The header's length, checked against the file.
StatusOr<uint64_t> ParseHeaderLength(std::span<const uint8_t> file, const std::string& path) {
  if (file.size() < kLengthBytes) {
    return Status::Error(path + ": not a safetensors file: expected at least 8 bytes, found " +
                         std::to_string(file.size()));
  }
  uint64_t length;
  std::memcpy(&length, file.data(), sizeof(length));
  const uint64_t limit = std::min<uint64_t>(file.size() - kLengthBytes, kMaxHeaderBytes);
  if (length > limit) {
    return Status::Error(path +
                         ": not a safetensors file, or a truncated one: expected a header of"
                         " at most " +
                         std::to_string(limit) + " bytes, found a length of " +
                         std::to_string(length));
  }
  return length;
}

}  // namespace

const char* DtypeName(Dtype dtype) { return InfoOf(dtype).name; }

size_t DtypeBytes(Dtype dtype) { return InfoOf(dtype).bytes; }

std::string ShapeText(std::string_view dtype_name, const std::vector<uint64_t>& shape) {
  return ShownText(dtype_name) + " " + Shown(Json(shape));
}

StatusOr<Safetensors> Safetensors::Parse(std::span<const uint8_t> file, const std::string& path) {
  POCKETGLM_ASSIGN_OR_RETURN(const uint64_t length, ParseHeaderLength(file, path));
  const std::string_view text(reinterpret_cast<const char*>(file.data()) + kLengthBytes, length);
  POCKETGLM_ASSIGN_OR_RETURN(const Json header, ParseJsonObject(text, path + ": header"));

  Safetensors result;
  result.data_start_ = kLengthBytes + length;
  const std::span<const uint8_t> data = file.subspan(result.data_start_);
  std::vector<Entry> entries;
  for (const auto& [name, json] : header.items()) {
    if (name == kMetadataKey) {
      POCKETGLM_RETURN_IF_ERROR(ParseMetadata(json, path, &result.metadata_));
      continue;
    }
    POCKETGLM_ASSIGN_OR_RETURN(Entry entry, ParseEntry(name, json, data.size(), path));
    entries.push_back(std::move(entry));
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.begin, a.end, a.tensor.name) < std::tie(b.begin, b.end, b.tensor.name);
  });
  POCKETGLM_RETURN_IF_ERROR(CheckCoverage(entries, data.size(), path));

  for (Entry& entry : entries) {
    entry.tensor.offset = result.data_start_ + entry.begin;
    entry.tensor.data = data.subspan(entry.begin, entry.end - entry.begin);
    result.index_.emplace(entry.tensor.name, result.tensors_.size());
    result.tensors_.push_back(std::move(entry.tensor));
  }
  return result;
}

const Tensor* Safetensors::Find(const std::string& name) const {
  const auto position = index_.find(name);
  return position == index_.end() ? nullptr : &tensors_[position->second];
}

}  // namespace pocketglm
