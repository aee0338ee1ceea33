# PCRE2, 8 bit, with Unicode: the tokenizer's pattern. Linked as pocketglm_pcre2.
add_library(pocketglm_pcre2 INTERFACE)
if(POCKETGLM_SYSTEM_DEPENDENCIES)
  find_package(PkgConfig QUIET)
  if(PkgConfig_FOUND)
    pkg_check_modules(PCRE2 QUIET IMPORTED_TARGET GLOBAL libpcre2-8>=10.40)
  endif()
endif()
if(TARGET PkgConfig::PCRE2)
  message(STATUS "PCRE2 ${PCRE2_VERSION}: installed")
  target_link_libraries(pocketglm_pcre2 INTERFACE PkgConfig::PCRE2)
  return()
endif()
pocketglm_fetch(pcre2
  GIT https://github.com/PCRE2Project/pcre2 6ae58beca071f13ccfed31d03b3f479ab520639b  # 10.44
  DEBIAN pcre2 c33b418e3b936ee3153de2c61cc638e7e4fe3156022a5c77d0711bcbb9d64f1f)  # 10.42
foreach(option PCRE2_BUILD_TESTS PCRE2_BUILD_PCRE2GREP PCRE2_SUPPORT_LIBBZ2 PCRE2_SUPPORT_LIBZ
        PCRE2_SUPPORT_LIBEDIT PCRE2_SUPPORT_LIBREADLINE)
  set(${option} OFF CACHE BOOL "" FORCE)
endforeach()
pocketglm_add_subdirectory(pcre2)
target_link_libraries(pocketglm_pcre2 INTERFACE pcre2-8-static)
target_compile_definitions(pocketglm_pcre2 INTERFACE PCRE2_STATIC)
# 10.44 names its build folder as it is, which an installed package must not.
set_target_properties(pcre2-8-static PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "")
target_include_directories(pocketglm_pcre2 SYSTEM INTERFACE $<BUILD_INTERFACE:${pcre2_BINARY_DIR}>)
