// at::parallel_for, only where it is parallel: it is a template, and compiled without OpenMP it runs on one
// thread and says nothing.
#pragma once

#include <ATen/Parallel.h>

#ifndef INTRA_OP_PARALLEL
#error "compile with -fopenmp, as the target LibTorch::LibTorch asks for"
#endif
