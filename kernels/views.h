// Views of memory owned by somebody else, passed by value.
#ifndef POCKETGLM_KERNELS_VIEWS_H_
#define POCKETGLM_KERNELS_VIEWS_H_

#include <cassert>
#include <cstddef>
#include <type_traits>

namespace pocketglm {

// A row-major matrix: element (r, c) is data[r * stride + c]. The stride is in elements and at
// least `cols`; what lies between cols and stride is never read or written.
template <class T>
struct MatrixView {
  T* data = nullptr;
  size_t rows = 0;
  size_t cols = 0;
  size_t stride = 0;

  T* Row(size_t r) const {
    assert(r < rows);
    return data + r * stride;
  }

  // A view for writing serves where a view for reading is asked for.
  operator MatrixView<const T>() const  // NOLINT(google-explicit-constructor)
    requires(!std::is_const_v<T>)
  {
    return {data, rows, cols, stride};
  }
};

// The half-open range [begin, end): the share of a kernel's rows, panels or heads one call
// computes.
struct Range {
  size_t begin = 0;
  size_t end = 0;

  size_t size() const { return end - begin; }
};

}  // namespace pocketglm

#endif  // POCKETGLM_KERNELS_VIEWS_H_
