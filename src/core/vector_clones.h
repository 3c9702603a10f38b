// RN_VECTOR_CLONES before a function: it is compiled for AVX-512, for AVX2 and for every x86-64, and the
// loader picks the widest version that the machine has. For plain loops; a file that relies on the rounding
// of single operations is compiled with -ffp-contract=off, since the wider versions may fuse multiply and
// add.
#pragma once

// The loader's resolvers run before a sanitizer's run time is up, so sanitized builds go without.
#if defined(__x86_64__) && defined(__linux__) && !defined(__SANITIZE_THREAD__) && \
    !defined(__SANITIZE_ADDRESS__)
#define RN_VECTOR_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define RN_VECTOR_CLONES
#endif
