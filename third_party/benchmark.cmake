# Google Benchmark.
pocketglm_find_package(benchmark 1.7 CONFIG)
if(TARGET benchmark::benchmark)
  message(STATUS "Google Benchmark ${benchmark_VERSION}: installed")
  return()
endif()
pocketglm_fetch(benchmark
  GIT https://github.com/google/benchmark c58e6d0710581e3a08d65c349664128a8d9a2461  # 1.9.1
  DEBIAN benchmark 6430e4092653380d9dc4ccb45a1e2dc9259d581f4866dc0759713126056bc1d7)  # 1.7.1
foreach(option BENCHMARK_ENABLE_TESTING BENCHMARK_ENABLE_GTEST_TESTS BENCHMARK_ENABLE_INSTALL
        BENCHMARK_ENABLE_WERROR BENCHMARK_INSTALL_DOCS)
  set(${option} OFF CACHE BOOL "" FORCE)
endforeach()
if(CMAKE_CROSSCOMPILING)  # It would run programs to find out.
  set(HAVE_STD_REGEX ON)
  set(HAVE_POSIX_REGEX OFF)
  set(HAVE_STEADY_CLOCK ON)
endif()
pocketglm_add_subdirectory(benchmark)
