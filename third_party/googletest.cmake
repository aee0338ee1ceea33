# GoogleTest and GoogleMock.
pocketglm_find_package(GTest 1.12 CONFIG)
if(TARGET GTest::gtest_main)
  message(STATUS "GoogleTest ${GTest_VERSION}: installed")
  return()
endif()
pocketglm_fetch(googletest
  GIT https://github.com/google/googletest b514bdc898e2951020cbdca1304b75f5950d1f59  # 1.15.2
  DEBIAN googletest 81964fe578e9bd7c94dfdb09c8e4d6e6759e19967e397dbea48d1c10e45d0df2)  # 1.12.1
set(INSTALL_GTEST OFF CACHE BOOL "" FORCE)
pocketglm_add_subdirectory(googletest)
