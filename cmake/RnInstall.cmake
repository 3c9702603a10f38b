# Install rules: bin/rn_dist, the modules as rn::<module> with their headers, and a package that find_package(RnDist)
# finds.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(_rn_package ${CMAKE_INSTALL_LIBDIR}/cmake/RnDist)
set(_rn_torch_free_modules core io kernels config data dist plan report federated_plan)
set(_rn_torch_modules model train federated app)

set(_rn_targets "")
foreach(module ${_rn_torch_free_modules} ${_rn_torch_modules})
  list(APPEND _rn_targets rn_${module})
endforeach()
install(TARGETS ${_rn_targets} EXPORT RnDistTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/src/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/rn_dist
        FILES_MATCHING PATTERN "*.h" PATTERN "torch_pch.h" EXCLUDE)

# The installed program finds LibTorch and NCCL where the built one did.
set_target_properties(rn_main PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON)
install(TARGETS rn_main RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/configs/ DESTINATION ${CMAKE_INSTALL_DATADIR}/rn_dist/configs
        FILES_MATCHING PATTERN "*.yaml")

install(EXPORT RnDistTargets NAMESPACE rn:: DESTINATION ${_rn_package})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/RnDistConfig.cmake.in
  ${CMAKE_CURRENT_BINARY_DIR}/RnDistConfig.cmake INSTALL_DESTINATION ${_rn_package})
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/RnDistConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/RnDistConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/RnDistConfigVersion.cmake
              ${PROJECT_SOURCE_DIR}/cmake/FindLibTorch.cmake ${PROJECT_SOURCE_DIR}/cmake/FindCudaRuntime.cmake
              ${PROJECT_SOURCE_DIR}/cmake/FindNCCL.cmake
        DESTINATION ${_rn_package})
