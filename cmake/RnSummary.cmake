# The table that ends a configure run: what is on, and why anything is off.
if(RN_WITH_CUDA)
  set(_rn_cuda "on   (${RN_CUDA_REASON}; NCCL ${NCCL_VERSION})")
else()
  set(_rn_cuda "off  (${RN_CUDA_REASON})")
endif()
set(_rn_tests ${RN_BUILD_TESTS})
message(STATUS "rn_dist ${PROJECT_VERSION}
     build type   ${CMAKE_BUILD_TYPE}
     LibTorch     ${LibTorch_VERSION}  (${LibTorch_ROOT})
     CUDA, NCCL   ${_rn_cuda}
     MPI          ${MPI_CXX_VERSION} (${MPI_CXX_LIBRARIES})
     tests        ${_rn_tests}
     sanitizers   ${RN_SANITIZE}")
