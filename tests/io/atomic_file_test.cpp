#include "io/atomic_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <set>

#include "core/error.h"
#include "support/memory_file_system.h"
#include "support/temporary_directory.h"

namespace rn::io {
namespace {

using testing_support::Crash;
using testing_support::MemoryFileSystem;

std::string text_of(FileSystem& files, const std::string& path) {
  const auto bytes = files.read(path, 1000);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// A durable old file in an otherwise empty folder.
std::unique_ptr<MemoryFileSystem> with_old_file() {
  auto files = std::make_unique<MemoryFileSystem>();
  files->make_directory("/run");
  files->sync_directory("/");
  write_file_atomically(*files, "/run/summary.json", "the old content");
  return files;
}

TEST(AtomicFileTest, WritesAndReplacesWithTheModeOfTheUmask) {
  const testing_support::TemporaryDirectory folder;
  const mode_t old_mask = ::umask(022);
  write_file_atomically(posix_file_system(), folder / "f", "one");
  write_file_atomically(posix_file_system(), folder / "f", "two");
  ::umask(old_mask);
  EXPECT_EQ(text_of(posix_file_system(), folder / "f"), "two");
  struct stat status{};
  ASSERT_EQ(::stat((folder / "f").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0644u);
  EXPECT_EQ(posix_file_system().list(folder.path()), (std::vector<std::string>{"f"}));
}

TEST(AtomicFileTest, AfterACrashAnywhereTheOldOrTheNewContentIsThere) {
  bool saw_old = false, saw_new = false;
  for (std::size_t stop = 0;; ++stop) {
    const auto files = with_old_file();
    files->crash_at(files->operations() + stop);
    bool crashed = false;
    try {
      write_file_atomically(*files, "/run/summary.json", "the new content");
    } catch (const Crash&) {
      crashed = true;
    }
    // All mixtures of four choices for each of a handful of nodes.
    for (std::size_t mixture = 0; mixture < 64; ++mixture) {
      std::size_t rest = mixture;
      const auto survivor = files->after_crash([&rest](std::size_t n) {
        const std::size_t drawn = rest % 4;
        rest /= 4;
        return drawn == 3 ? n - 1 : std::min(drawn, n - 1);
      });
      const std::string text = text_of(*survivor, "/run/summary.json");
      EXPECT_TRUE(text == "the old content" || text == "the new content") << stop << ": " << text;
      if (!crashed) {
        EXPECT_EQ(text, "the new content");
      }
      saw_old |= text == "the old content";
      saw_new |= text == "the new content";
    }
    if (!crashed) break;
    ASSERT_LT(stop, 100u);
  }
  EXPECT_TRUE(saw_old && saw_new);
}

TEST(AtomicFileTest, AFailureLeavesTheOldFileAndNoTemporary) {
  bool completed = false;
  for (std::size_t stop = 0; !completed; ++stop) {
    const auto files = with_old_file();
    files->fail_once_at(files->operations() + stop, ENOSPC);
    try {
      write_file_atomically(*files, "/run/summary.json", "the new content");
      completed = true;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kFailure);
      EXPECT_NE(std::string(error.what()).find("the disk is full"), std::string::npos) << error.what();
    }
    EXPECT_EQ(files->list("/run"), (std::vector<std::string>{"summary.json"})) << "operation " << stop;
    ASSERT_LT(stop, 100u);
  }
}

TEST(AtomicFileTest, LinksAreMovedAtOnce) {
  const testing_support::TemporaryDirectory folder;
  write_link_atomically(posix_file_system(), folder / "last", "100");
  write_link_atomically(posix_file_system(), folder / "last", "200");
  EXPECT_EQ(posix_file_system().read_link(folder / "last"), "200");
  EXPECT_EQ(posix_file_system().list(folder.path()), (std::vector<std::string>{"last"}));
}

TEST(AtomicFileTest, TemporaryNamesAreFreshLieBesideTheirPathAndAreRecognised) {
  std::set<std::string> names;
  for (int i = 0; i < 1000; ++i) names.insert(temporary_path("a/b"));
  EXPECT_EQ(names.size(), 1000u);
  EXPECT_EQ(names.begin()->rfind("a/.b.tmp-", 0), 0u) << *names.begin();
  EXPECT_EQ(temporary_path("b").rfind(".b.tmp-", 0), 0u);
  EXPECT_TRUE(is_temporary_name(temporary_path("b")));
  for (const char* other : {"b", ".b", ".b.tmp-", ".b.tmp-12", "b.tmp-0123456789abcdef",
                            ".b.tmp-0123456789abcdeg", ".b.tmp-0123456789abcdef0"}) {
    EXPECT_FALSE(is_temporary_name(other)) << other;
  }
}

}  // namespace
}  // namespace rn::io
