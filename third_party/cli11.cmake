# CLI11: the programs' command lines.
pocketglm_find_package(CLI11 2.1 CONFIG)
if(TARGET CLI11::CLI11)
  message(STATUS "CLI11 ${CLI11_VERSION}: installed")
  return()
endif()
pocketglm_fetch(cli11
  GIT https://github.com/CLIUtils/CLI11 6c7b07a878ad834957b98d0f9ce1dbe0cb204fc9  # 2.4.2
  DEBIAN cli11 8143d20b688e98ccce8e24562d3b68e5f47c12e896c42c7ca8553dbde5bed55d)  # 2.1.2
foreach(option CLI11_BUILD_DOCS CLI11_BUILD_TESTS CLI11_BUILD_EXAMPLES CLI11_SINGLE_FILE
        CLI11_PRECOMPILED)
  set(${option} OFF CACHE BOOL "" FORCE)
endforeach()
pocketglm_add_subdirectory(cli11)
