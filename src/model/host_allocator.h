// Where LibTorch's tensors on the host lie.
#pragma once

namespace rn::model {

// Lets glibc keep what is freed, in huge pages where the system has them, and LibTorch take its tensors from
// there by malloc.
//
// By default glibc hands every activation of a step back to the system and faults it in again, page by page,
// in the next; a ResNet-18 step on CPU cores gains 3 % by the one, 6 % by the other. LibTorch's own allocator
// asks for aligned memory (posix_memalign), which glibc before 2.38 never serves from a freed block of the
// very size (its bug 14581): the heap grows in steps that repeat the same requests. Blocks of malloc that are
// aligned by hand fit where the last ones lay.
//
// Once, before the first tensor.
void prepare_host_allocator();

}  // namespace rn::model
