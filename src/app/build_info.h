// What the build knows of itself; the values are written at build time (cmake/RnBuildInfo.cmake).
#pragma once

namespace rn::app {

extern const char* const kVersion;   // project's, e.g. "0.1.0"
extern const char* const kGitState;  // commit, "-dirty" appended where the tree differs from it; "unknown"
extern const char* const kFlavour;   // "cpu" or "cuda"
extern const char* const kCompiler;

}  // namespace rn::app
