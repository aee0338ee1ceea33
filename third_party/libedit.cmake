# libedit: lines edited on a terminal, in run_glm -i. Optional and never built from source: without
# the target PkgConfig::LIBEDIT the terminal's own editing remains.
if(POCKETGLM_SYSTEM_DEPENDENCIES)
  find_package(PkgConfig QUIET)
  if(PkgConfig_FOUND)
    pkg_check_modules(LIBEDIT QUIET IMPORTED_TARGET GLOBAL libedit>=3.1)
  endif()
endif()
if(TARGET PkgConfig::LIBEDIT)
  message(STATUS "libedit ${LIBEDIT_VERSION}: installed")
else()
  message(STATUS "libedit: not installed; run_glm -i does without")
endif()
