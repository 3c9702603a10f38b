// Agreement with the reference reader on good and bad files (tools/golden/make_safetensors_cases.py).
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "io/safetensors.h"
#include "support/memory_file_system.h"

namespace rn::io {
namespace {

std::vector<std::byte> from_hex(const std::string& hex) {
  std::vector<std::byte> bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    bytes.push_back(static_cast<std::byte>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

std::vector<nlohmann::json> cases() {
  const std::string path = std::string(RN_TEST_DATA_DIR) + "/io/safetensors_cases.jsonl";
  std::ifstream file(path);
  std::vector<nlohmann::json> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(nlohmann::json::parse(line));
  EXPECT_GT(lines.size(), 200u) << path;
  return lines;
}

std::string upper(std::string_view name) {
  std::string text(name);
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::toupper(c); });
  return text;
}

void expect_tensors(const SafetensorsFile& file, const nlohmann::json& expected) {
  ASSERT_EQ(file.tensors.size(), expected.size());
  for (const auto& tensor : expected) {
    const auto name = tensor.at("name").get<std::string>();
    const TensorView* found = file.find(name);
    ASSERT_NE(found, nullptr) << name;
    EXPECT_EQ(upper(name_of(found->dtype)), tensor.at("dtype").get<std::string>()) << name;
    EXPECT_EQ(found->shape, tensor.at("shape").get<std::vector<std::int64_t>>()) << name;
    const auto bytes = from_hex(tensor.at("hex").get<std::string>());
    EXPECT_TRUE(std::equal(found->bytes.begin(), found->bytes.end(), bytes.begin(), bytes.end())) << name;
  }
}

TEST(SafetensorsReferenceTest, OpensWhatTheReferenceOpensAndRefusesWhatItRefuses) {
  int opened = 0, refused = 0, stricter = 0;
  for (const auto& line : cases()) {
    if (!line.contains("valid")) continue;
    SCOPED_TRACE(line.at("name").get<std::string>());
    const bool expected = line.at("valid").get<bool>() && !line.contains("refused_because");
    stricter += line.contains("refused_because");
    try {
      const auto file =
          parse_safetensors(from_hex(line.at("hex").get<std::string>()), "some/file.safetensors");
      EXPECT_TRUE(expected) << "was opened";
      if (expected) expect_tensors(file, line.at("tensors"));
      ++opened;
    } catch (const DataError& error) {
      EXPECT_FALSE(expected) << error.what();
      EXPECT_EQ(std::string(error.what()).rfind("some/file.safetensors", 0), 0u) << error.what();
      ++refused;
    }
  }
  EXPECT_GT(opened, 40);
  EXPECT_GT(refused, 100);
  EXPECT_LT(stricter, 20);
}

TEST(SafetensorsReferenceTest, WritesTheBytesThatTheReferenceReadsBack) {
  const auto line = cases().back();
  ASSERT_EQ(line.at("name"), "our writer");
  std::vector<TensorView> tensors;
  std::vector<std::vector<std::byte>> contents;
  for (const auto& tensor : line.at("tensors"))
    contents.push_back(from_hex(tensor.at("hex").get<std::string>()));
  for (const auto& tensor : line.at("tensors")) {
    const auto dtype_text = tensor.at("dtype").get<std::string>();
    DType dtype = DType::kU8;
    for (const DType known : {DType::kU8, DType::kI64, DType::kF32, DType::kF64}) {
      if (upper(name_of(known)) == dtype_text) dtype = known;
    }
    tensors.push_back({tensor.at("name"), dtype, tensor.at("shape").get<std::vector<std::int64_t>>(),
                       contents[tensors.size()]});
  }
  testing_support::MemoryFileSystem files;
  write_safetensors(*files.create("/out"), tensors, {{"format", "pt"}, {"rn", "1"}});
  EXPECT_EQ(files.content("/out"), from_hex(line.at("hex").get<std::string>()));
}

}  // namespace
}  // namespace rn::io
