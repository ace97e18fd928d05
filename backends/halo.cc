#include "backends/halo.h"

#include <cstring>

namespace floe {

void ZeroHaloRows(const TensorInfo& t, void* base, int64_t image, int64_t row_begin,
                  int64_t row_end) {
  if (t.halo.empty() || t.rank != 4) return;
  const int64_t height = t.dims[2], width = t.dims[3];
  const int64_t gap = t.halo.gap, pitch = width + gap;
  const int64_t pixel_bytes = t.dims[1] * DTypeSize(t.dtype);
  const int64_t image_pixels = gap + (height + t.halo.top + t.halo.bottom) * pitch;
  char* first = static_cast<char*>(base) + image * image_pixels * pixel_bytes;
  const auto zero = [&](int64_t pixel, int64_t count) {
    const int64_t bytes = count * pixel_bytes;
    if (bytes > 0) {
      std::memset(first + pixel * pixel_bytes, t.halo.fill, static_cast<size_t>(bytes));
    }
  };
  if (row_begin == 0) zero(0, gap + t.halo.top * pitch);
  for (int64_t y = row_begin; y < row_end; ++y) zero(gap + (y + t.halo.top) * pitch + width, gap);
  if (row_end == height) zero(gap + (height + t.halo.top) * pitch, t.halo.bottom * pitch);
}

void ZeroHalo(const TensorInfo& t, void* base) {
  if (t.halo.empty() || t.rank != 4) return;
  for (int64_t image = 0; image < t.dims[0]; ++image) {
    ZeroHaloRows(t, base, image, 0, t.dims[2]);
  }
}

}  // namespace floe
