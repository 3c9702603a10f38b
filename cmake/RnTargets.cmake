# How modules and tests are declared: rn_add_module, rn_add_test, rn_add_mpi_test.

# Warnings, sanitizers and build-wide definitions of our own sources; never exported.
add_library(rn_compile_options INTERFACE)
add_library(rn::compile_options ALIAS rn_compile_options)
# -fPIC for executables too, not -fPIE: a precompiled header serves only targets with the same code model.
set(rn_cxx_flags
  -fPIC -Wall -Wextra -Wpedantic -Wconversion -Wno-sign-conversion -Wshadow
  # Designated initializers leave out what keeps its default on purpose; -Wrestrict is a false alarm of GCC 12 on
  # std::string's operator+ (GCC bug 105651).
  -Wno-missing-field-initializers $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>
  $<$<BOOL:${RN_WERROR}>:-Werror> $<$<BOOL:${RN_NATIVE}>:-march=native>)
target_compile_options(rn_compile_options INTERFACE
  "$<$<COMPILE_LANGUAGE:CXX>:${rn_cxx_flags}>"
  "$<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-fPIC,-Wall>")
if(RN_SANITIZE)
  target_compile_options(rn_compile_options INTERFACE -fsanitize=${RN_SANITIZE} -fno-omit-frame-pointer
                         -fno-sanitize-recover=all)
  target_link_options(rn_compile_options INTERFACE -fsanitize=${RN_SANITIZE})
endif()

if(RN_FUZZ)
  # Counters for the fuzzer, and for llvm-cov; the programs themselves link libFuzzer (tests/fuzz).
  target_compile_options(rn_compile_options INTERFACE -fsanitize=fuzzer-no-link -fprofile-instr-generate
                         -fcoverage-mapping)
  target_link_options(rn_compile_options INTERFACE -fprofile-instr-generate)
endif()

# rn_add_module(NAME [TORCH] SOURCES a.cpp ... LINK rn::core ... [PRIVATE_LINK lib ...])
# One static library rn_<name> with alias rn::<name>; the include root is src/. TORCH reuses the precompiled header.
function(rn_add_module name)
  cmake_parse_arguments(ARG "TORCH" "" "SOURCES;LINK;PRIVATE_LINK" ${ARGN})
  add_library(rn_${name} STATIC ${ARG_SOURCES})
  add_library(rn::${name} ALIAS rn_${name})
  set_target_properties(rn_${name} PROPERTIES EXPORT_NAME ${name})
  target_include_directories(rn_${name} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/src>
                             $<INSTALL_INTERFACE:include/rn_dist>)
  target_compile_features(rn_${name} PUBLIC cxx_std_20)
  target_link_libraries(rn_${name} PUBLIC ${ARG_LINK} PRIVATE ${ARG_PRIVATE_LINK} $<BUILD_INTERFACE:rn::compile_options>)
  if(ARG_TORCH)
    target_link_libraries(rn_${name} PUBLIC LibTorch::LibTorch)
    target_precompile_headers(rn_${name} REUSE_FROM rn_torch_pch)
  endif()
endfunction()

# Every test writes its gtest results there, so that launch/test can count cases over all binaries.
set(RN_TEST_RESULTS ${CMAKE_BINARY_DIR}/test-results)

# Test binaries that sanitizers work on: LibTorch itself is not built with them.
add_custom_target(rn_torch_free_tests)

# rn_add_test(NAME module [TORCH] [PROGRAM] SOURCES a_test.cpp ... LINK rn::x ... [LABELS unit] [TIMEOUT 120])
# One binary <module>_test without MPI, one ctest entry. PROGRAM: it starts rn_dist, which LibTorch is a part of.
function(rn_add_test name)
  cmake_parse_arguments(ARG "TORCH;PROGRAM" "TIMEOUT" "SOURCES;LINK;LABELS" ${ARGN})
  rn_test_binary(${name}_test GTest::gtest_main "${ARG_TORCH}" "${ARG_SOURCES}" "${ARG_LINK}")
  if(ARG_PROGRAM)
    add_dependencies(${name}_test rn_main)
    target_compile_definitions(${name}_test PRIVATE RN_DIST="$<TARGET_FILE:rn_main>")
  endif()
  add_test(NAME ${name} COMMAND ${name}_test --gtest_output=xml:${RN_TEST_RESULTS}/${name}.xml)
  if(NOT ARG_LABELS)
    set(ARG_LABELS unit)
  endif()
  if(NOT ARG_TORCH AND NOT ARG_PROGRAM)
    list(APPEND ARG_LABELS torch-free)
    add_dependencies(rn_torch_free_tests ${name}_test)
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT})
endfunction()

# rn_add_mpi_test(NAME module [TORCH] SOURCES a_mpi_test.cpp ... LINK rn::x ... [NP 1 2 3 4] [TIMEOUT 120])
# One binary <module>_mpi_test (main: tests/support/mpi_main.cpp), one ctest entry per rank count.
function(rn_add_mpi_test name)
  cmake_parse_arguments(ARG "TORCH" "TIMEOUT" "SOURCES;LINK;NP;LABELS" ${ARGN})
  rn_test_binary(${name}_mpi_test rn_mpi_main "${ARG_TORCH}" "${ARG_SOURCES}" "${ARG_LINK}")
  if(NOT ARG_NP)
    set(ARG_NP 1 2 3 4)
  endif()
  if(NOT ARG_TORCH)
    list(APPEND ARG_LABELS torch-free)
    add_dependencies(rn_torch_free_tests ${name}_mpi_test)
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  foreach(np ${ARG_NP})
    add_test(NAME ${name}.np${np}
      COMMAND ${MPIEXEC_EXECUTABLE} --oversubscribe --allow-run-as-root --bind-to none ${MPIEXEC_NUMPROC_FLAG} ${np}
              $<TARGET_FILE:${name}_mpi_test> --gtest_output=xml:${RN_TEST_RESULTS}/${name}.np${np}.xml)
    set_tests_properties(${name}.np${np} PROPERTIES LABELS "mpi;${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT}
                         PROCESSORS ${np} ENVIRONMENT "OMP_NUM_THREADS=1")
  endforeach()
endfunction()

function(rn_test_binary target main torch sources link)
  add_executable(${target} ${sources})
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_compile_definitions(${target} PRIVATE RN_TEST_DATA_DIR="${PROJECT_SOURCE_DIR}/tests/data"
                             RN_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  target_link_libraries(${target} PRIVATE ${link} ${main} GTest::gtest rn::compile_options)
  if(torch)
    target_precompile_headers(${target} REUSE_FROM rn_torch_pch)
  endif()
endfunction()
