# Writes build_info.cpp with the git state at build time, only when it changed (so nothing is rebuilt for nothing).
# Run as a script: cmake -DSOURCE_DIR= -DOUTPUT= -DVERSION= -DFLAVOUR= -DCOMPILER= -P RnBuildInfo.cmake
execute_process(COMMAND git -C ${SOURCE_DIR} describe --always --dirty --abbrev=10
                OUTPUT_VARIABLE git_state OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
if(failed OR NOT git_state)
  set(git_state unknown)
endif()
set(content "#include \"app/build_info.h\"

namespace rn::app {

const char* const kVersion = \"${VERSION}\";
const char* const kGitState = \"${git_state}\";
const char* const kFlavour = \"${FLAVOUR}\";
const char* const kCompiler = \"${COMPILER}\";

}  // namespace rn::app
")
if(EXISTS ${OUTPUT})
  file(READ ${OUTPUT} before)
endif()
if(NOT before STREQUAL content)
  file(WRITE ${OUTPUT} "${content}")
endif()
