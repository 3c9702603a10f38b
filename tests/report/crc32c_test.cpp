#include "report/crc32c.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace rn::report {
namespace {

std::uint32_t crc_of(const std::string& text) { return crc32c(std::as_bytes(std::span(text))); }

// RFC 3720, appendix B.4, and the check value of the CRC catalogues.
TEST(Crc32cTest, MatchesPublishedVectors) {
  EXPECT_EQ(crc_of(""), 0U);
  EXPECT_EQ(crc_of("123456789"), 0xE3069283U);
  EXPECT_EQ(crc_of(std::string(32, '\0')), 0x8A9136AAU);
  EXPECT_EQ(crc_of(std::string(32, '\xff')), 0x62A8AB43U);
  std::string ascending;
  for (int i = 0; i < 32; ++i) ascending.push_back(static_cast<char>(i));
  EXPECT_EQ(crc_of(ascending), 0x46DD794EU);
  EXPECT_EQ(crc_of(std::string(ascending.rbegin(), ascending.rend())), 0x113FDB5CU);
}

TEST(Crc32cTest, MaskRotatesAndAddsTfRecordsConstant) {
  const std::string text = "123456789";
  // 0xE3069283 rotated right by 15 bits is 0x2507C60D.
  EXPECT_EQ(masked_crc32c(std::as_bytes(std::span(text))), 0x2507C60DU + 0xA282EAD8U);
}

}  // namespace
}  // namespace rn::report
