# LibTorch::LibTorch from the PyPI wheel, without find_package(Torch), which insists on nvcc and links everything.
#
# Searched: RN_TORCH_DIR, the project's own .deps/venv, an active virtual or conda environment, python3.
# CPU flavour: libtorch_cpu and libc10 only. CUDA flavour (RN_WITH_CUDA): also libtorch_cuda, libc10_cuda.
set(_rn_torch_candidates ${RN_TORCH_DIR})
if(NOT RN_TORCH_DIR)
  file(GLOB _rn_own ${PROJECT_SOURCE_DIR}/.deps/venv/lib/python3*/site-packages/torch)
  foreach(env VIRTUAL_ENV CONDA_PREFIX)
    if(DEFINED ENV{${env}})
      file(GLOB _rn_env $ENV{${env}}/lib/python3*/site-packages/torch)
      list(APPEND _rn_torch_candidates ${_rn_env})
    endif()
  endforeach()
  list(APPEND _rn_torch_candidates ${_rn_own})
  find_program(_rn_python3 python3)
  if(_rn_python3)
    execute_process(COMMAND ${_rn_python3} -c
      "import importlib.util as u; s=u.find_spec('torch'); print(s.submodule_search_locations[0] if s else '')"
      OUTPUT_VARIABLE _rn_py_torch OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    list(APPEND _rn_torch_candidates ${_rn_py_torch})
  endif()
endif()

find_path(LibTorch_INCLUDE_DIR torch/csrc/api/include/torch/torch.h
          PATHS ${_rn_torch_candidates} PATH_SUFFIXES include NO_DEFAULT_PATH)
if(LibTorch_INCLUDE_DIR)
  get_filename_component(LibTorch_ROOT ${LibTorch_INCLUDE_DIR} DIRECTORY)
  file(STRINGS ${LibTorch_INCLUDE_DIR}/torch/headeronly/version.h _rn_torch_version_lines
       REGEX "define TORCH_VERSION_(MAJOR|MINOR|PATCH) ")
  string(REGEX REPLACE ".*MAJOR ([0-9]+).*MINOR ([0-9]+).*PATCH ([0-9]+).*" "\\1.\\2.\\3"
         LibTorch_VERSION "${_rn_torch_version_lines}")
endif()
find_library(LibTorch_CPU_LIBRARY torch_cpu PATHS ${LibTorch_ROOT}/lib NO_DEFAULT_PATH)
find_library(LibTorch_C10_LIBRARY c10 PATHS ${LibTorch_ROOT}/lib NO_DEFAULT_PATH)
set(_rn_torch_required LibTorch_CPU_LIBRARY LibTorch_C10_LIBRARY LibTorch_INCLUDE_DIR)
if(RN_WITH_CUDA)
  find_library(LibTorch_CUDA_LIBRARY torch_cuda PATHS ${LibTorch_ROOT}/lib NO_DEFAULT_PATH)
  find_library(LibTorch_C10_CUDA_LIBRARY c10_cuda PATHS ${LibTorch_ROOT}/lib NO_DEFAULT_PATH)
  list(APPEND _rn_torch_required LibTorch_CUDA_LIBRARY LibTorch_C10_CUDA_LIBRARY)
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibTorch REQUIRED_VARS ${_rn_torch_required} VERSION_VAR LibTorch_VERSION
  REASON_FAILURE_MESSAGE "launch/test installs the pinned wheel into .deps/venv. Or set RN_TORCH_DIR to site-packages/torch.")

if(LibTorch_FOUND AND NOT TARGET LibTorch::LibTorch)
  add_library(LibTorch::LibTorch INTERFACE IMPORTED)
  # SYSTEM: its headers do not meet our warning set.
  target_include_directories(LibTorch::LibTorch SYSTEM INTERFACE
    ${LibTorch_INCLUDE_DIR} ${LibTorch_INCLUDE_DIR}/torch/csrc/api/include)
  # The wheel's libraries find NVIDIA's packages by their own RPATH, but the linker does not follow it.
  target_link_options(LibTorch::LibTorch INTERFACE "LINKER:--allow-shlib-undefined" "LINKER:-rpath,${LibTorch_ROOT}/lib")
  if(RN_WITH_CUDA)
    # Hardly anything refers to libtorch_cuda by symbol; its kernels register themselves when it is loaded.
    target_link_libraries(LibTorch::LibTorch INTERFACE "-Wl,--no-as-needed" ${LibTorch_CUDA_LIBRARY} "-Wl,--as-needed"
                          ${LibTorch_C10_CUDA_LIBRARY})
    target_include_directories(LibTorch::LibTorch SYSTEM INTERFACE ${CUDAToolkit_INCLUDE_DIRS})
    target_compile_definitions(LibTorch::LibTorch INTERFACE USE_CUDA=1)
  endif()
  target_link_libraries(LibTorch::LibTorch INTERFACE ${LibTorch_CPU_LIBRARY} ${LibTorch_C10_LIBRARY})
  # at::parallel_for is a template that is serial without OpenMP. Linked is the OpenMP that LibTorch itself runs on: a
  # second one would have threads of its own.
  target_compile_options(LibTorch::LibTorch INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-fopenmp>)
  file(GLOB _rn_gomp ${LibTorch_ROOT}/lib/libgomp*.so*)
  target_link_libraries(LibTorch::LibTorch INTERFACE $<IF:$<BOOL:${_rn_gomp}>,${_rn_gomp},gomp>)
endif()
