# cpuinfo: CPU features, cores and caches. It has no releases, so an installed package cannot be
# told from one too old (bookworm's of 2022 lacks AVX-VNNI and I8MM): always built from source.
pocketglm_fetch(cpuinfo
  GIT https://github.com/pytorch/cpuinfo 877328f188a3c7d1fa855871a278eb48d530c4c0
  DEBIAN cpuinfo 557ca404a3836b9f335a3a06b65ff9fe9dbaaefab7fb5c0185f53d9f33615a10)

foreach(option CPUINFO_BUILD_TOOLS CPUINFO_BUILD_UNIT_TESTS CPUINFO_BUILD_MOCK_TESTS
        CPUINFO_BUILD_BENCHMARKS CPUINFO_BUILD_PKG_CONFIG)
  set(${option} OFF CACHE BOOL "" FORCE)
endforeach()
set(CPUINFO_LIBRARY_TYPE static CACHE STRING "" FORCE)
# It would write to stderr about sandboxes without /sys; arch/ says what matters.
set(CPUINFO_LOG_LEVEL none CACHE STRING "" FORCE)
pocketglm_add_subdirectory(cpuinfo)
