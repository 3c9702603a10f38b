// A precompiled header needs a target that owns it; this source is that target's only content.
#include "torch_pch.h"
