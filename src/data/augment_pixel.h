// Where a pixel of an augmented image comes from: what the Augmenter on the CPU and the kernel on a GPU
// share.
#pragma once

#include <cstdint>

#if defined(__CUDACC__)
#define RN_HOST_DEVICE __host__ __device__
#else
#define RN_HOST_DEVICE
#endif

namespace rn::data {

// All the randomness of one sample's augmentation. Plain data: copied to a GPU as it lies.
struct AugmentDraw {
  std::int16_t crop_y = 0;  // in [0, 2 * crop_padding]: top of the crop in the padded image
  std::int16_t crop_x = 0;
  std::int16_t cutout_y = 0;  // centre of the blanked square, in the cropped and flipped image
  std::int16_t cutout_x = 0;
  bool flip = false;
  bool operator==(const AugmentDraw&) const = default;
};

// What is alike for all images of a set.
struct AugmentGeometry {
  int channels = 3;
  int height = 32;
  int width = 32;
  int crop_padding = 0;
  int cutout = 0;  // side of the blanked square; 0: none
  bool reflects = true;
};

inline constexpr int kPixelValues = 256;
inline constexpr int kPadding = -1;

// The source of output coordinate `i` after a crop that begins at `shift`: in [0, size), or kPadding for a
// black pixel. Reflection does not repeat the edge.
RN_HOST_DEVICE inline int source_coordinate(int i, int shift, int size, bool reflects) {
  const int source = i + shift;
  if (source >= 0 && source < size) return source;
  if (!reflects) return kPadding;
  return source < 0 ? -source : 2 * (size - 1) - source;
}

// Whether the blanked square with this centre covers coordinate `i`.
RN_HOST_DEVICE inline bool is_blanked(int i, int centre, int cutout) {
  const int first = centre - cutout / 2;
  return i >= first && i < first + cutout;
}

// Output pixel (y, x) of channel c. `image` [C, H, W]; `table` [C, kPixelValues]: normalised values; `draw`
// null: normalise only.
RN_HOST_DEVICE inline float augmented_value(const std::uint8_t* image, const AugmentGeometry& shape,
                                            const AugmentDraw* draw, const float* table, int c, int y,
                                            int x) {
  int row = y;
  int column = x;
  if (draw != nullptr) {
    if (is_blanked(y, draw->cutout_y, shape.cutout) && is_blanked(x, draw->cutout_x, shape.cutout)) return 0;
    const bool crops = shape.crop_padding > 0;
    row = source_coordinate(y, crops ? draw->crop_y - shape.crop_padding : 0, shape.height, shape.reflects);
    column = source_coordinate(draw->flip ? shape.width - 1 - x : x,
                               crops ? draw->crop_x - shape.crop_padding : 0, shape.width, shape.reflects);
  }
  const int pixel = row < 0 || column < 0 ? 0 : image[(c * shape.height + row) * shape.width + column];
  return table[c * kPixelValues + pixel];
}

}  // namespace rn::data
