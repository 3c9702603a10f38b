# Installs into a scratch prefix, then builds and runs a program against the installed package.
#   cmake -D BUILD_DIR=... -D CONSUMER_DIR=... -D COMPILER=... -P install_test.cmake
set(scratch ${BUILD_DIR}/install-test)
file(REMOVE_RECURSE ${scratch})

function(check)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT status EQUAL 0)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "${command}\nended with ${status}:\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

function(expect text)
  if(NOT output MATCHES "${text}")
    message(FATAL_ERROR "'${text}' is not in:\n${output}")
  endif()
endfunction()

check(${CMAKE_COMMAND} --install ${BUILD_DIR} --prefix ${scratch}/prefix)
check(${scratch}/prefix/bin/rn_dist --version)
expect("rn_dist [0-9]+[.][0-9]+[.][0-9]+")
if(NOT EXISTS ${scratch}/prefix/include/rn_dist/core/communicator.h)
  message(FATAL_ERROR "no headers were installed")
endif()

# Nothing installed may lead back into the build: the consumer sees the prefix only.
file(GLOB_RECURSE package_files ${scratch}/prefix/*.cmake)
foreach(file ${package_files})
  file(STRINGS ${file} lines REGEX "${BUILD_DIR}/(src|bin)|install-test")
  if(lines)
    message(FATAL_ERROR "${file} names the build folder: ${lines}")
  endif()
endforeach()

foreach(with_torch OFF ON)
  set(build ${scratch}/consumer-${with_torch})
  check(${CMAKE_COMMAND} -S ${CONSUMER_DIR} -B ${build} -G Ninja -D CMAKE_CXX_COMPILER=${COMPILER}
        -D CMAKE_PREFIX_PATH=${scratch}/prefix -D WITH_LIBTORCH=${with_torch})
  check(${CMAKE_COMMAND} --build ${build})
  check(${build}/layout)
  expect("40 parameters in 2 tensors")
endforeach()
check(${scratch}/consumer-ON/network)
expect("[1-9][0-9]* parameter tensors")
