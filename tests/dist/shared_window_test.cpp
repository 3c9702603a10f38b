#include "dist/shared_window.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <utility>

#include "core/error.h"

namespace rn::dist {
namespace {

constexpr std::size_t kBytes = 3 * 4096;

TEST(SharedWindowTest, StartsWithZerosAndIsSharedWithAnotherProcess) {
  SharedWindow window = SharedWindow::create(kBytes);
  for (const std::byte b : window.bytes()) ASSERT_EQ(b, std::byte{0});
  window.bytes()[5] = std::byte{42};
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    // A mapping of its own by the handle, not the inherited one.
    const SharedWindow other = SharedWindow::attach(window.handle(), kBytes);
    const bool good = other.bytes().data() != window.bytes().data() && other.bytes()[5] == std::byte{42};
    other.bytes()[kBytes - 1] = std::byte{7};
    _exit(good ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(window.bytes()[kBytes - 1], std::byte{7});
}

TEST(SharedWindowTest, NobodyAttachesAfterTheHandleIsClosed) {
  SharedWindow window = SharedWindow::create(kBytes);
  const WindowHandle handle = window.handle();
  window.close_handle();
  EXPECT_THROW((void)SharedWindow::attach(handle, kBytes), EnvironmentError);
  window.bytes()[0] = std::byte{1};  // the mapping stays
}

TEST(SharedWindowTest, AnotherFileUnderTheSamePathIsRefused) {
  SharedWindow window = SharedWindow::create(kBytes);
  WindowHandle handle = window.handle();
  ++handle.inode;
  EXPECT_THROW((void)SharedWindow::attach(handle, kBytes), EnvironmentError);
}

TEST(SharedWindowTest, MovingLeavesTheSourceEmpty) {
  SharedWindow window = SharedWindow::create(kBytes);
  window.bytes()[1] = std::byte{3};
  SharedWindow other(std::move(window));
  EXPECT_TRUE(window.bytes().empty());  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(other.bytes()[1], std::byte{3});
  SharedWindow third;
  third = std::move(other);
  EXPECT_EQ(third.bytes()[1], std::byte{3});
}

TEST(SharedWindowTest, AnImpossibleSizeIsAClearError) {
  EXPECT_THROW((void)SharedWindow::create(std::size_t{1} << 62), EnvironmentError);
}

}  // namespace
}  // namespace rn::dist
