#include "kernels/top_k.h"

#include <cassert>

#include "hwy/highway.h"
#include "kernels/lanes16-inl.h"
#include "kernels/level-inl.h"

namespace pocketglm {
namespace POCKETGLM_LEVEL {
namespace {

// The order of the result: larger values first, then lower indices; NaN after all numbers.
HWY_INLINE bool Better(const float* x, uint32_t a, uint32_t b) {
  if (x[a] > x[b]) return true;
  if (x[a] < x[b]) return false;
  const bool a_is_nan = x[a] != x[a];
  const bool b_is_nan = x[b] != x[b];
  return a_is_nan == b_is_nan ? a < b : b_is_nan;
}

// Restores the heap below `root`: every parent is worse than its children, so heap[0] is the worst.
HWY_INLINE void SiftDown(const float* x, uint32_t* heap, size_t size, size_t root) {
  for (;;) {
    size_t worst = root;
    for (size_t child = 2 * root + 1; child <= 2 * root + 2 && child < size; ++child) {
      if (Better(x, heap[worst], heap[child])) worst = child;
    }
    if (worst == root) return;
    const uint32_t moved = heap[root];
    heap[root] = heap[worst];
    heap[worst] = moved;
    root = worst;
  }
}

}  // namespace

void TopK(const float* x, size_t n, size_t k, uint32_t* indices) noexcept {
  assert(1 <= k && k <= n);
  uint32_t* heap = indices;  // A heap of the best k so far, the worst of them on top.
  for (size_t i = 0; i < k; ++i) heap[i] = static_cast<uint32_t>(i);
  for (size_t i = k / 2; i-- > 0;) SiftDown(x, heap, k, i);

  size_t i = k;
  while (i < n) {
    // Skip 16 at a time while none beats the worst kept: almost always so once the heap has warmed
    // up. Ties lose against a kept element, whose index is lower.
    const float worst = x[heap[0]];
    if (worst == worst) {
      const auto threshold = hn::Set(DF(), worst);
      for (; i + kLanes <= n; i += kLanes) {
        if (!hn::AllFalse(DF(), hn::Gt(hn::LoadU(DF(), x + i), threshold))) break;
      }
    }
    for (const size_t end = HWY_MIN(i + kLanes, n); i < end; ++i) {
      if (!Better(x, static_cast<uint32_t>(i), heap[0])) continue;
      heap[0] = static_cast<uint32_t>(i);
      SiftDown(x, heap, k, 0);
    }
  }

  // Heap sort: the worst goes to the back, one by one.
  for (size_t size = k; size > 1; --size) {
    const uint32_t worst = heap[0];
    heap[0] = heap[size - 1];
    heap[size - 1] = worst;
    SiftDown(x, heap, size - 1, 0);
  }
}

size_t Argmax(const float* x, size_t n) noexcept {
  uint32_t best;
  TopK(x, n, 1, &best);
  return best;
}

}  // namespace POCKETGLM_LEVEL
}  // namespace pocketglm
