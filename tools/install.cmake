# `cmake --install`: the programs, the libraries with their headers, and a package for
# find_package(pocketglm), which brings the targets pocketglm::kernels (arch included) and
# pocketglm::runtime. Dependencies built with the project are installed beside the libraries, out of
# the way of a user's own copies.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(archives ${CMAKE_INSTALL_LIBDIR}/pocketglm)
set(headers ${CMAKE_INSTALL_INCLUDEDIR}/pocketglm)
set(package ${CMAKE_INSTALL_LIBDIR}/cmake/pocketglm)

foreach(library arch kernels runtime)
  set_target_properties(pocketglm_${library} PROPERTIES EXPORT_NAME ${library})
  install(DIRECTORY ${library} DESTINATION ${headers}
          FILES_MATCHING PATTERN "*.h"
          PATTERN "*-inl.h" EXCLUDE PATTERN "*json.h" EXCLUDE)  # These need Highway, nlohmann/json.
endforeach()
install(FILES ${PROJECT_BINARY_DIR}/generated/arch/levels_generated.h DESTINATION ${headers}/arch)
target_include_directories(pocketglm_arch INTERFACE $<INSTALL_INTERFACE:${headers}>)

set(from_source cpuinfo)
if(TARGET pcre2-8-static)
  list(APPEND from_source pcre2-8-static)
endif()
foreach(dependency IN LISTS from_source)
  # Their headers are no business of our users.
  set_target_properties(${dependency} PROPERTIES PUBLIC_HEADER "")
endforeach()
install(TARGETS pocketglm_arch pocketglm_kernels pocketglm_runtime pocketglm_pcre2 ${from_source}
        EXPORT pocketglm ARCHIVE DESTINATION ${archives} INCLUDES DESTINATION ${headers})
install(EXPORT pocketglm NAMESPACE pocketglm:: FILE pocketglmTargets.cmake DESTINATION ${package})

configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/pocketglmConfig.cmake.in
  ${PROJECT_BINARY_DIR}/generated/pocketglmConfig.cmake INSTALL_DESTINATION ${package})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/generated/pocketglmConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/generated/pocketglmConfig.cmake
              ${PROJECT_BINARY_DIR}/generated/pocketglmConfigVersion.cmake
        DESTINATION ${package})

if(POCKETGLM_TOOLS)
  install(TARGETS convert_glm eval_glm run_glm synth_glm)
endif()
if(POCKETGLM_BENCHMARKS)
  install(TARGETS bench_kernels)
  if(POCKETGLM_TOOLS)
    install(TARGETS bench_glm)
  endif()
endif()
install(FILES LICENSE README.md ${PROJECT_BINARY_DIR}/generated/NOTICES
        DESTINATION ${CMAKE_INSTALL_DOCDIR})
