# Highway: SIMD. 1.3.0 preferred, 1.2.0 builds and passes too; Debian bookworm's 1.0.3 is too old.
pocketglm_find_package(hwy 1.2 CONFIG)
if(TARGET hwy::hwy)
  message(STATUS "Highway ${hwy_VERSION}: installed")
  return()
endif()

set(POCKETGLM_HIGHWAY_VERSION 1.3.0 CACHE STRING "Highway to build: 1.3.0 or 1.2.0")
set_property(CACHE POCKETGLM_HIGHWAY_VERSION PROPERTY STRINGS 1.3.0 1.2.0)
if(POCKETGLM_HIGHWAY_VERSION STREQUAL "1.3.0")
  pocketglm_fetch(highway
    GIT https://github.com/google/highway ac0d5d297b13ab1b89f48484fc7911082d76a93f
    # Debian's archive and GitHub's of the tag are the same bytes.
    DEBIAN highway 07b3c1ba2c1096878a85a31a5b9b3757427af963b1141ca904db2f9f4afe0bc2)
elseif(POCKETGLM_HIGHWAY_VERSION STREQUAL "1.2.0")
  pocketglm_fetch(highway
    GIT https://github.com/google/highway 457c891775a7397bdb0376bb1031e6e027af1c48
    DEBIAN highway 7e0be78b8318e8bdbf6fa545d2ecb4c90f947df03f7aadc42c1967f019e63343)
else()
  message(FATAL_ERROR "POCKETGLM_HIGHWAY_VERSION is '${POCKETGLM_HIGHWAY_VERSION}'; 1.3.0 and "
                      "1.2.0 are pinned in third_party/highway.cmake")
endif()

# Cache entries: Highway's policy version ignores plain variables.
foreach(option HWY_ENABLE_TESTS HWY_ENABLE_EXAMPLES HWY_ENABLE_CONTRIB)
  set(${option} OFF CACHE BOOL "" FORCE)
endforeach()
set(HWY_FORCE_STATIC_LIBS ON CACHE BOOL "" FORCE)
pocketglm_add_subdirectory(highway)
if(NOT TARGET hwy::hwy)
  add_library(hwy::hwy ALIAS hwy)
endif()
