#include "io/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>

#include "core/error.h"
#include "core/random.h"
#include "support/memory_file_system.h"

namespace rn::io {
namespace {

using testing_support::MemoryFileSystem;

std::vector<std::byte> bytes_of_text(const std::string& text) {
  std::vector<std::byte> bytes(text.size());
  std::memcpy(bytes.data(), text.data(), text.size());
  return bytes;
}

// A file with this header, with the length in front and `data` behind.
std::vector<std::byte> file_of(const std::string& header, const std::string& data) {
  std::string text(8, '\0');
  const std::uint64_t length = header.size();
  std::memcpy(text.data(), &length, 8);
  return bytes_of_text(text + header + data);
}

std::string message_of(std::vector<std::byte> bytes) {
  try {
    parse_safetensors(std::move(bytes), "m.safetensors");
  } catch (const DataError& error) {
    return error.what();
  }
  return "opened";
}

TEST(SafetensorsTest, ReadsBackWhatItWroteForRandomContents) {
  constexpr DType kTypes[] = {DType::kU8,  DType::kI32, DType::kI64, DType::kBF16,
                              DType::kF16, DType::kF32, DType::kF64};
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    CounterRandom random(seed, Purpose::kSynthetic, 0, 0);
    std::vector<TensorView> tensors(random.below(8));
    std::vector<std::vector<std::byte>> contents(tensors.size());
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      TensorView& tensor = tensors[i];
      tensor.name = "layer\"\n\xC3\xA4." + std::to_string(i);
      tensor.dtype = kTypes[random.below(7)];
      std::size_t numel = 1;
      for (std::uint32_t d = random.below(4); d > 0; --d) {
        tensor.shape.push_back(random.below(5));
        numel *= static_cast<std::size_t>(tensor.shape.back());
      }
      contents[i].resize(numel * size_of(tensor.dtype));
      for (std::byte& b : contents[i]) b = static_cast<std::byte>(random.next());
      tensor.bytes = contents[i];
    }
    MemoryFileSystem files;
    const std::map<std::string, std::string> metadata = {{"format", "pt"}, {"note", "\"quoted\"\t"}};
    write_safetensors(*files.create("/f"), tensors, metadata);

    const SafetensorsFile file = read_safetensors(files, "/f");
    EXPECT_EQ(file.metadata, metadata);
    ASSERT_EQ(file.tensors.size(), tensors.size());
    for (const TensorView& tensor : tensors) {
      const TensorView* found = file.find(tensor.name);
      ASSERT_NE(found, nullptr) << tensor.name;
      EXPECT_EQ(found->dtype, tensor.dtype);
      EXPECT_EQ(found->shape, tensor.shape);
      EXPECT_TRUE(
          std::equal(found->bytes.begin(), found->bytes.end(), tensor.bytes.begin(), tensor.bytes.end()));
    }
    // Save, load, save gives the same bytes wherever the order is decided by ranges alone.
    MemoryFileSystem again;
    std::vector<TensorView> in_order;
    for (const TensorView& tensor : tensors) in_order.push_back(*file.find(tensor.name));
    write_safetensors(*again.create("/f"), in_order, file.metadata);
    EXPECT_EQ(again.content("/f"), files.content("/f"));
  }
}

TEST(SafetensorsTest, DataBeginsAtAMultipleOfEightBytes) {
  const float value = 1;
  for (std::size_t length = 1; length < 10; ++length) {
    const TensorView tensor{std::string(length, 'x'), DType::kF32, {1}, std::as_bytes(std::span(&value, 1))};
    MemoryFileSystem files;
    write_safetensors(*files.create("/f"), std::span(&tensor, 1), {});
    EXPECT_EQ((files.content("/f").size() - sizeof(float)) % 8, 0u) << "name of " << length;
  }
}

TEST(SafetensorsTest, ViewsStayValidWhenTheFileIsMoved) {
  SafetensorsFile file = parse_safetensors(
      file_of(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})", "hi"), "m.safetensors");
  const SafetensorsFile moved = std::move(file);
  EXPECT_EQ(std::memcmp(moved.find("a")->bytes.data(), "hi", 2), 0);
  EXPECT_EQ(moved.find("b"), nullptr);
}

TEST(SafetensorsTest, MessagesSayWhichFileWhichTensorAndWhatIsWrong) {
  const std::string good = R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
  struct Case {
    std::vector<std::byte> file;
    std::string expected;
  };
  const Case cases[] = {
      {bytes_of_text("abc"), "it has 3 bytes"},
      {file_of(good, "123"), "tensor \"a\" ends at byte 4 of 3 bytes of data: the file was cut"},
      {file_of(good, "12345"), "1 bytes at its end belong to no tensor"},
      {file_of(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", "1234"),
       "its shape and dtype need 8"},
      {file_of(R"({"a":{"dtype":"I8","shape":[4],"data_offsets":[0,4]}})", "1234"),
       "tensor \"a\" has dtype I8, which is not read here (supported: U8, I32, I64, BF16, F16, F32, F64)"},
      {file_of(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
               R"("a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
               "1234"),
       "\"a\" stands twice in the header"},
      {file_of(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[1,5]}})", "12345"), "gap or overlap"},
      {file_of(R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", "1234"),
       "the shape of tensor \"a\" is or holds a negative number"},
      {file_of(R"({"a":)", ""), "the header is not JSON at byte"},
      {file_of(R"([1])", ""), "the header is a list, not an object"},
      {file_of(R"({"__metadata__":{"k":1}})", ""),
       "the metadata must map strings to strings, and has a number"},
  };
  for (const Case& c : cases) {
    const std::string message = message_of(c.file);
    EXPECT_EQ(message.rfind("m.safetensors", 0), 0u) << message;
    EXPECT_NE(message.find(c.expected), std::string::npos) << message << "\nshould say: " << c.expected;
  }
}

TEST(SafetensorsTest, MessagesStayShortAndPrintableWhateverTheNames) {
  const std::string name(100000, 'n');
  const std::string message = message_of(
      file_of("{\"\\u001b[31m" + name + R"(":{"dtype":"F32","shape":[1],"data_offsets":[0,3]}})", "123"));
  EXPECT_LT(message.size(), 600u);
  EXPECT_EQ(message.find('\x1b'), std::string::npos);
}

TEST(SafetensorsTest, NeitherHugeClaimsNorDeepNestingCostMemoryOrStack) {
  EXPECT_NE(message_of(file_of(
                R"({"a":{"dtype":"F64","shape":[1099511627776],"data_offsets":[0,8796093022208]}})", "")),
            "opened");
  EXPECT_NE(message_of(file_of(R"({"a":{"x":)" + std::string(5000000, '['), "")), "opened");
  EXPECT_NE(message_of(file_of(std::string(5000000, '{'), "")), "opened");
}

TEST(SafetensorsTest, EveryCutOfAFileIsRefused) {
  const auto whole = file_of(R"({"a":{"dtype":"U8","shape":[9],"data_offsets":[0,9]}})", "123456789");
  EXPECT_EQ(message_of(whole), "opened");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_NE(message_of({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)}), "opened")
        << size;
  }
}

TEST(SafetensorsTest, TheWriterRefusesWhatCouldNotBeReadBack) {
  const float values[2] = {1, 2};
  const auto bytes = std::as_bytes(std::span(values));
  const auto write = [](std::vector<TensorView> tensors) {
    MemoryFileSystem files;
    write_safetensors(*files.create("/f"), tensors, {});
  };
  EXPECT_NO_THROW(write({{"a", DType::kF32, {2}, bytes}}));
  EXPECT_THROW(write({{"a", DType::kF32, {3}, bytes}}), InternalError);
  EXPECT_THROW(write({{"a", DType::kF64, {2}, bytes}}), InternalError);
  EXPECT_THROW(write({{"a", DType::kF32, {-2}, bytes}}), InternalError);
  EXPECT_THROW(write({{"a", DType::kF32, {2}, bytes}, {"a", DType::kF32, {2}, bytes}}), InternalError);
  EXPECT_THROW(write({{"__metadata__", DType::kF32, {2}, bytes}}), InternalError);
  EXPECT_THROW(write({{"\xff", DType::kF32, {2}, bytes}}), InternalError);
}

TEST(SafetensorsTest, AMissingFileIsADataErrorWithItsPath) {
  MemoryFileSystem files;
  try {
    read_safetensors(files, "/no/such.safetensors");
    FAIL();
  } catch (const DataError& error) {
    EXPECT_NE(std::string(error.what()).find("/no/such.safetensors"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace rn::io
