#include "model/host_allocator.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/alignment.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#if defined(__GLIBC__)
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace rn::model {
namespace {

// Blocks of malloc, aligned by hand; the word before the data is malloc's address.
class AlignedBlocks final : public c10::Allocator {
 public:
  c10::DataPtr allocate(std::size_t bytes) override {
    if (bytes == 0) return {nullptr, nullptr, &release, c10::kCPU};
    void* const block = std::malloc(bytes + c10::gAlignment);
    if (block == nullptr) return fallback_->allocate(bytes);  // fails, in LibTorch's words
    // malloc's addresses are multiples of 16, so at least as much lies before the data.
    auto* const data = reinterpret_cast<std::byte*>(
        (reinterpret_cast<std::uintptr_t>(block) / c10::gAlignment + 1) * c10::gAlignment);
    std::memcpy(data - sizeof(void*), &block, sizeof(void*));
    return {data, data, &release, c10::kCPU};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    default_copy_data(to, from, bytes);
  }

 private:
  static void release(void* data) {
    if (data == nullptr) return;
    void* block;
    std::memcpy(&block, static_cast<std::byte*>(data) - sizeof(void*), sizeof(void*));
    std::free(block);
  }

  c10::Allocator* const fallback_ = c10::GetDefaultCPUAllocator();
};

#if defined(__GLIBC__)
// The heap's next 2 GiB in huge pages, where the system has them: fewer page faults and misses of the
// TLB. The block is not touched, so it costs addresses only, and given back to the heap, which keeps it
// (trimming is off).
void ask_for_huge_pages() {
  constexpr std::size_t kBytes = std::size_t{2} << 30;
  void* const block = std::malloc(kBytes);
  if (block == nullptr) return;  // a limit on addresses: small pages, then
  const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto begin = (reinterpret_cast<std::uintptr_t>(block) + page - 1) / page * page;
  // Advice: a system without huge pages refuses it, and nothing is lost.
  (void)madvise(reinterpret_cast<void*>(begin), kBytes - page, MADV_HUGEPAGE);
  std::free(block);
}
#endif

}  // namespace

void prepare_host_allocator() {
#if defined(__GLIBC__)
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, -1);
  mallopt(M_TOP_PAD, 256 << 20);
  ask_for_huge_pages();
#endif
  static AlignedBlocks blocks;
  c10::SetCPUAllocator(&blocks);
}

}  // namespace rn::model
