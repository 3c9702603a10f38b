// Stands in for fault_point.cpp in builds without tests.
#include "dist/fault_point.h"

namespace rn::dist {

bool built_with_fault_points() { return false; }
void fault_point(std::string_view, int, std::int64_t) {}
void fault_point_data(FaultData, std::string_view, int, std::int64_t, std::span<std::byte>, DType) {}

}  // namespace rn::dist
