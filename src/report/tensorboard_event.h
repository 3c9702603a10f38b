// TensorBoard's Event messages and their framing, encoded by hand: three message kinds need no protobuf
// library.
//
//   Event   { 1: double wall_time; 2: int64 step; 3: string file_version; 5: Summary summary; 7: SessionLog
//   session_log } Summary { 1: repeated Value { 1: string tag; 2: float simple_value } } SessionLog { 1: enum
//   status (START = 1) }
// A TFRecord is: uint64 length, uint32 masked CRC32C of the length, the bytes, uint32 masked CRC32C of the
// bytes; all little-endian.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace rn::report {

struct Scalar {
  std::string tag;  // "train/loss"
  double value = 0;
};

// The first event of a file: readers check the version.
std::string version_event(double wall_time);
// Readers forget what earlier files of the folder say of this step and later ones.
std::string restart_event(double wall_time, std::int64_t first_step);
std::string scalar_event(double wall_time, std::int64_t step, std::span<const Scalar> scalars);

std::string tf_record(std::string_view message);

}  // namespace rn::report
