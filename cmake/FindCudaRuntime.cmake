# CudaRuntime::CudaRuntime: the headers of the CUDA toolkit, and the libcudart that LibTorch itself loads.
#
# Two libraries of one soname are told apart by nothing but the order of RPATHs, and a toolkit's folder also holds an
# NCCL that is too old. So the wheel's own is linked by its full path where there is one, and the toolkit's folder stays
# out of the RPATH. Needs FindLibTorch and FindCUDAToolkit before it, and FindNCCL where NCCL is used.
file(STRINGS ${LibTorch_ROOT}/version.py _rn_cuda_line REGEX "^cuda[ :=]")
string(REGEX MATCH "[0-9]+\\.[0-9]+" CudaRuntime_VERSION "${_rn_cuda_line}")
string(REGEX MATCH "^[0-9]+" CudaRuntime_VERSION_MAJOR "${CudaRuntime_VERSION}")
if(CudaRuntime_VERSION AND NOT CudaRuntime_VERSION_MAJOR STREQUAL CUDAToolkit_VERSION_MAJOR)
  message(FATAL_ERROR "LibTorch was built with CUDA ${CudaRuntime_VERSION}, the toolkit in ${CUDAToolkit_INCLUDE_DIRS} is "
          "${CUDAToolkit_VERSION}. Name one of the same major version by CUDAToolkit_ROOT, or another LibTorch by "
          "RN_TORCH_DIR.")
endif()

get_filename_component(_rn_site ${LibTorch_ROOT} DIRECTORY)
find_file(CudaRuntime_LIBRARY libcudart.so.${CudaRuntime_VERSION_MAJOR} NO_DEFAULT_PATH
          PATHS ${_rn_site}/nvidia/cu${CudaRuntime_VERSION_MAJOR}/lib ${_rn_site}/nvidia/cuda_runtime/lib)
if(NOT CudaRuntime_LIBRARY)
  set(CudaRuntime_LIBRARY ${CUDA_cudart_LIBRARY} CACHE FILEPATH "The CUDA runtime" FORCE)
endif()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(CudaRuntime REQUIRED_VARS CudaRuntime_LIBRARY CUDAToolkit_INCLUDE_DIRS
                                  VERSION_VAR CudaRuntime_VERSION)
if(CudaRuntime_FOUND AND NOT TARGET CudaRuntime::CudaRuntime)
  get_filename_component(_rn_cudart_dir ${CudaRuntime_LIBRARY} DIRECTORY)
  add_library(CudaRuntime::CudaRuntime SHARED IMPORTED)
  set_target_properties(CudaRuntime::CudaRuntime PROPERTIES IMPORTED_LOCATION ${CudaRuntime_LIBRARY}
                        INTERFACE_INCLUDE_DIRECTORIES "${CUDAToolkit_INCLUDE_DIRS}")
  if(NCCL_LIBRARY)  # first, whichever module links what: a toolkit's folder may hold another NCCL
    get_filename_component(_rn_nccl_dir ${NCCL_LIBRARY} DIRECTORY)
    target_link_options(CudaRuntime::CudaRuntime INTERFACE "LINKER:-rpath,${_rn_nccl_dir}")
  endif()
  target_link_options(CudaRuntime::CudaRuntime INTERFACE "LINKER:-rpath,${_rn_cudart_dir}")
endif()
