// The one precompiled header of every target that uses LibTorch. Sources still include what they use.
#pragma once

#include <torch/torch.h>
