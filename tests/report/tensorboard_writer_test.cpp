#include "report/tensorboard_writer.h"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "core/error.h"
#include "report/crc32c.h"
#include "scratch_folder.h"

namespace rn::report {
namespace {

std::string hex(const std::string& bytes) {
  std::string text;
  for (const char byte : bytes) {
    char digits[3];
    std::snprintf(digits, sizeof(digits), "%02x", static_cast<unsigned char>(byte));
    text += digits;
  }
  return text;
}

StepRecord step_record(std::int64_t step, double loss) {
  StepRecord record;
  record.at = {step, static_cast<double>(step) / 100};
  record.loss = loss;
  record.lr = 0.1;
  return record;
}

// By hand from the protobuf encoding.
TEST(TensorboardEventTest, EncodesTheMessagesFields) {
  EXPECT_EQ(hex(version_event(1.5)),
            "09000000000000f83f"
            "1000"
            "1a0d" +
                hex("brain.Event:2"));
  EXPECT_EQ(hex(restart_event(1.5, 300)),
            "09000000000000f83f"
            "10ac02"
            "3a02"
            "0801");
  const std::vector<Scalar> scalars = {{"a", 0.5}, {"bc", -2}};
  EXPECT_EQ(hex(scalar_event(1.5, 128, scalars)),
            "09000000000000f83f"
            "108001"
            "2a15"
            "0a08"
            "0a0161"
            "150000003f"
            "0a09"
            "0a026263"
            "15000000c0");
}

TEST(TensorboardEventTest, FramesARecordWithItsLengthAndBothChecksums) {
  const std::string record = tf_record("123456789");
  ASSERT_EQ(record.size(), 8U + 4 + 9 + 4);
  EXPECT_EQ(hex(record.substr(0, 8)), "0900000000000000");
  EXPECT_EQ(record.substr(12, 9), "123456789");
  // 0x2507c60d + 0xa282ead8, little-endian
  EXPECT_EQ(hex(record.substr(21)), "e5b08ac7");
}

// Splits an events file into messages, checking every checksum.
std::vector<std::string> messages_of(const std::string& bytes) {
  std::vector<std::string> messages;
  const auto word = [&](std::size_t at) {
    std::uint32_t value = 0;
    std::memcpy(&value, bytes.data() + at, sizeof(value));
    return value;
  };
  const auto crc = [&](std::size_t at, std::size_t size) {
    return masked_crc32c(std::as_bytes(std::span(bytes).subspan(at, size)));
  };
  for (std::size_t at = 0; at + 16 <= bytes.size();) {
    std::uint64_t size = 0;
    std::memcpy(&size, bytes.data() + at, sizeof(size));
    if (word(at + 8) != crc(at, 8) || word(at + 12 + size) != crc(at + 12, size)) {
      ADD_FAILURE() << "checksum of the record at " << at;
      break;
    }
    messages.push_back(bytes.substr(at + 12, size));
    at += 16 + size;
  }
  return messages;
}

TEST(TensorboardWriterTest, EachRecordStandsInTheFileAtOnce) {
  const ScratchFolder folder;
  TensorboardWriter writer(folder.path(), -1);
  EXPECT_EQ(messages_of(read_text(writer.path())).size(), 1U) << "the version";
  writer.write(step_record(50, 2.5));
  EXPECT_EQ(messages_of(read_text(writer.path())).size(), 2U);
  writer.write(EvalRecord{{100, 1}, "test", "ema", 60, 95, 1.5, 1000, 1});
  const auto messages = messages_of(read_text(writer.path()));
  ASSERT_EQ(messages.size(), 3U);
  EXPECT_NE(messages[1].find("train/loss"), std::string::npos);
  EXPECT_NE(messages[2].find("test/ema/top1"), std::string::npos);
}

TEST(TensorboardWriterTest, FilesHaveTensorBoardsNameAndNeverShareOne) {
  const ScratchFolder folder;
  TensorboardWriter first(folder.path(), -1);
  TensorboardWriter second(folder.path(), 10);
  EXPECT_NE(first.path(), second.path());
  for (const auto& path : {first.path(), second.path()}) {
    EXPECT_EQ(std::filesystem::path(path).filename().string().rfind("events.out.tfevents.", 0), 0U) << path;
    EXPECT_FALSE(messages_of(read_text(path)).empty());
  }
}

TEST(TensorboardWriterTest, AFolderThatIsNotThereDoesNotEndTheRun) {
  testing::internal::CaptureStderr();
  TensorboardWriter writer("/nonexistent/tensorboard", -1);
  writer.write(step_record(1, 1));
  EXPECT_NE(testing::internal::GetCapturedStderr().find("cannot open"), std::string::npos);
}

struct Shell {
  int status = -1;
  std::string output;
};

Shell shell(const std::string& command) {
  Shell result;
  FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return result;
  char buffer[4096];
  for (std::size_t n; (n = std::fread(buffer, 1, sizeof(buffer), pipe)) > 0;) result.output.append(buffer, n);
  const int status = ::pclose(pipe);
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return result;
}

// An interpreter that has the tensorboard package; empty: none.
std::string tensorboard_python() {
  std::vector<std::string> candidates = {RN_SOURCE_DIR "/.deps/venv/bin/python", "python3"};
  if (const char* named = std::getenv("RN_TENSORBOARD_PYTHON")) candidates.insert(candidates.begin(), named);
  for (const auto& python : candidates) {
    if (shell("'" + python + "' -c 'import tensorboard' 2>/dev/null").status == 0) return python;
  }
  return {};
}

TEST(TensorboardWriterTest, TensorBoardsOwnReaderSeesEveryScalarOnceAlsoAfterAResume) {
  const std::string python = tensorboard_python();
  if (python.empty()) {
    const char* required = std::getenv("RN_REQUIRE_TENSORBOARD");
    if (required != nullptr && std::string(required) == "1")
      FAIL() << "no Python has the tensorboard package";
    GTEST_SKIP() << "no Python has the tensorboard package (pip install tensorboard; RN_TENSORBOARD_PYTHON)";
  }
  const ScratchFolder folder;
  {
    TensorboardWriter writer(folder.path(), -1);
    for (const std::int64_t step : {50, 100, 150})
      writer.write(step_record(step, 1.0 / static_cast<double>(step)));
    writer.write(EpochRecord{{100, 1}, 1.5, 45.25, 0.05, 30});
    writer.write(EvalRecord{{150, 1.5}, "test", "raw", 60.5, 95.25, 1.5, 1000, 1});
  }
  {
    TensorboardWriter resumed(folder.path(), 100);
    resumed.write(step_record(150, 0.75));
    resumed.write(step_record(200, std::numeric_limits<double>::quiet_NaN()));
    resumed.write(step_record(std::int64_t{1} << 40, -3));
  }
  const Shell read =
      shell("'" + python + "' " RN_SOURCE_DIR "/tests/report/read_tensorboard.py '" + folder.path() + "'");
  ASSERT_EQ(read.status, 0) << read.output;
  const auto json = nlohmann::json::parse(read.output);
  const nlohmann::json expected_loss = {{50, static_cast<float>(1.0 / 50)},
                                        {100, static_cast<float>(1.0 / 100)},
                                        {150, 0.75},
                                        {200, nullptr},
                                        {std::int64_t{1} << 40, -3.0}};
  EXPECT_EQ(json.at("train/loss"), expected_loss) << read.output;
  EXPECT_EQ(json.at("epoch/train_top1"), nlohmann::json::array({nlohmann::json::array({100, 45.25})}));
  EXPECT_EQ(json.value("test/raw/top1", nlohmann::json::array()), nlohmann::json::array())
      << "an evaluation after the resume's step is dropped";
  EXPECT_EQ(json.at("train/lr").size(), 5U);
}

}  // namespace
}  // namespace rn::report
