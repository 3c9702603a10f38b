// Every bit of a checkpoint is guarded: whatever is cut or flipped, opening it says so and names the file.
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/tensor_hash.h"
#include "io/checkpoint_fixture.h"
#include "io/checkpoint_manifest.h"
#include "support/memory_file_system.h"

namespace rn::io {
namespace {

using testing_support::MemoryFileSystem;

class CheckpointDamageTest : public testing::Test {
 protected:
  CheckpointDamageTest() { save_sample(folder_, 100); }

  static std::vector<std::string> paths() {
    const std::string base = std::string(kCheckpoints) + "/100/";
    return {base + "manifest.json", base + "model.safetensors", base + "optimizer.safetensors"};
  }

  // The message of the DataError that loading throws; it must name `path`.
  void expect_refused(const std::string& path, const std::string& what) {
    try {
      folder_.load(100);
      ADD_FAILURE() << path << ": " << what << " was not noticed";
    } catch (const DataError& error) {
      EXPECT_NE(std::string(error.what()).find(path), std::string::npos) << what << ": " << error.what();
    }
  }

  MemoryFileSystem files_;
  CheckpointFolder folder_{files_, kCheckpoints};
};

TEST_F(CheckpointDamageTest, EveryFlippedBitIsNoticed) {
  for (const std::string& path : paths()) {
    auto& bytes = files_.content(path);
    for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
      bytes[bit / 8] ^= static_cast<std::byte>(1 << (bit % 8));
      expect_refused(path, cat("flipped bit ", bit));
      bytes[bit / 8] ^= static_cast<std::byte>(1 << (bit % 8));
    }
  }
  load_sample(folder_.load(100), 100);
}

TEST_F(CheckpointDamageTest, EveryCutIsNoticed) {
  for (const std::string& path : paths()) {
    const auto whole = files_.content(path);
    for (std::size_t size = 0; size < whole.size(); ++size) {
      files_.content(path).assign(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
      expect_refused(path, cat("cut to ", size));
    }
    files_.content(path) = whole;
  }
}

TEST_F(CheckpointDamageTest, EveryExtensionIsNoticed) {
  for (const std::string& path : paths()) {
    const auto whole = files_.content(path);
    for (const std::size_t more : {1, 8, 4096}) {
      files_.content(path).resize(whole.size() + more);
      expect_refused(path, cat("extended by ", more));
    }
    files_.content(path) = whole;
  }
}

TEST_F(CheckpointDamageTest, EveryMissingFileIsNoticed) {
  for (const std::string& path : paths()) {
    MemoryFileSystem files;
    CheckpointFolder folder(files, kCheckpoints);
    save_sample(folder, 100);
    files.remove(path);
    EXPECT_THROW(folder.load(100), DataError) << path;
  }
}

TEST_F(CheckpointDamageTest, AFileOfAnotherCheckpointIsNoticed) {
  save_sample(folder_, 200);
  const std::string path = paths()[1];
  files_.content(path) = files_.content("/run/checkpoints/200/model.safetensors");
  expect_refused(path, "exchanged");
}

// Damage must not turn into silently going on from something older: the newest is still the one to open.
TEST_F(CheckpointDamageTest, ADamagedManifestStillMarksTheNewestCheckpoint) {
  save_sample(folder_, 200);
  files_.content("/run/checkpoints/200/manifest.json").clear();
  EXPECT_EQ(folder_.last(), 200);
  EXPECT_THROW(folder_.load(200), DataError);
  load_sample(folder_.load(100), 100);
}

TEST_F(CheckpointDamageTest, RandomBytesAreNeverACheckpoint) {
  for (std::size_t size = 0; size < 400; size += 7) {
    auto& bytes = files_.content(paths()[0]);
    bytes.assign(size, std::byte{'{'});
    expect_refused(paths()[0], cat(size, " braces"));
  }
}

// With a right hash at its end, a manifest made by somebody else can still say anything.
TEST_F(CheckpointDamageTest, AWellHashedManifestCannotLeadOutOfItsFolder) {
  for (const char* name : {"../../secret", "/etc/passwd", ".lock", "manifest.json", ""}) {
    const std::string text = detail::format_manifest({100, {}, {{name, 1, 2}}});
    EXPECT_THROW(detail::parse_manifest(text, "manifest.json"), DataError) << name;
  }
  const std::string twice = detail::format_manifest({100, {}, {{"a", 1, 2}, {"a", 1, 2}}});
  EXPECT_THROW(detail::parse_manifest(twice, "manifest.json"), DataError);
  EXPECT_THROW(detail::parse_manifest(detail::format_manifest({-1, {}, {}}), "manifest.json"), DataError);
  EXPECT_NO_THROW(
      detail::parse_manifest(detail::format_manifest({0, {}, {{"a", ~0ULL, ~0ULL}}}), "manifest.json"));
}

// Copying or printing what is nested without bound would exhaust the stack.
TEST_F(CheckpointDamageTest, AWellHashedManifestCannotBeNestedWithoutBound) {
  for (const auto& [depth, opens] : {std::pair{20, true}, {100, false}}) {
    nlohmann::json values = 1;
    for (int level = 0; level < depth; ++level) values = nlohmann::json::array({values});
    const std::string text = detail::format_manifest({100, values, {}});
    if (opens) {
      EXPECT_EQ(detail::parse_manifest(text, "manifest.json").values, values);
    } else {
      EXPECT_THROW(detail::parse_manifest(text, "manifest.json"), DataError);
    }
  }
}

// Numbers that no integer holds are refused and not converted, which would be undefined.
TEST_F(CheckpointDamageTest, AWellHashedManifestHoldsWholeNumbers) {
  const std::string size = cat(~0ULL), step = "\"step\": 100";
  const std::string good = detail::format_manifest({100, {}, {{"a", ~0ULL, 2}}});
  const auto with = [&](const std::string& old, const std::string& value) {
    std::string body = good.substr(0, good.rfind("  \"manifest_hash\""));
    body.replace(body.find(old), old.size(), value);
    return cat(body, "  \"manifest_hash\": \"", hash_to_hex(tensor_hash(std::as_bytes(std::span(body)))),
               "\"\n}\n");
  };
  EXPECT_NO_THROW(detail::parse_manifest(with(size, "7"), "manifest.json"));
  for (const char* value : {"18446744073719515650", "1e300", "-1", "1.5", "\"7\"", "null"}) {
    EXPECT_THROW(detail::parse_manifest(with(size, value), "manifest.json"), DataError) << value;
  }
  for (const char* value : {"18446744073709551615", "1e300", "-1", "1.5"}) {
    EXPECT_THROW(detail::parse_manifest(with(step, cat("\"step\": ", value)), "manifest.json"), DataError)
        << value;
  }
}

TEST_F(CheckpointDamageTest, AHugeSizeInAManifestAllocatesNothing) {
  const std::string text = detail::format_manifest({100, {}, {{"model.safetensors", ~0ULL, 2}}});
  auto& bytes = files_.content(paths()[0]);
  bytes.assign(reinterpret_cast<const std::byte*>(text.data()),
               reinterpret_cast<const std::byte*>(text.data()) + text.size());
  expect_refused(paths()[1], "huge size");
}

}  // namespace
}  // namespace rn::io
