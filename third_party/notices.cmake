# What the licences of our dependencies want to go with binaries: their notices and conditions, as they
# stand in the sources that were built or in the documentation of the installed packages. Written to
# NOTICES of the build tree, which is installed beside LICENSE.
set(notices ${PROJECT_BINARY_DIR}/generated/NOTICES)
file(WRITE ${notices}.tmp
"PocketGLM's programs and libraries hold code of the projects below or are linked with it. Each stands
under its own licence, whose text follows its name. The Apache License 2.0 stands in LICENSE.
")

# pocketglm_notice(<name> <title> <licence> <file of the source tree> <version> <package>...)
# <version> and the Debian packages or names in /usr/share/licenses are those of an installed one.
function(pocketglm_notice name title licence file version)
  unset(text)
  if(${name}_ORIGIN)
    set(origin ${${name}_ORIGIN})
    set(path ${${name}_SOURCE_DIR}/${file})
  else()
    set(origin "${version}, as installed where this was built")
    set(names)
    foreach(package IN LISTS ARGN)
      list(APPEND names doc/${package}/copyright licenses/${package}/${file})
    endforeach()
    find_file(path NAMES ${names} PATH_SUFFIXES share NO_CACHE)
  endif()
  if(EXISTS "${path}")
    file(READ ${path} text)
  else()
    message(STATUS "${title}: no text of its licence here; the notices installed will lack it")
    set(text "The text of the licence was not found where this was built.\n")
  endif()
  string(REPEAT = 80 line)
  file(APPEND ${notices}.tmp "\n${line}\n${title}, ${licence}\n${origin}\n${line}\n\n${text}")
endfunction()

pocketglm_notice(highway Highway BSD-3-Clause LICENSE-BSD3 "${hwy_VERSION}" libhwy-dev highway)
pocketglm_notice(cpuinfo cpuinfo BSD-2-Clause LICENSE "")
pocketglm_notice(json nlohmann/json MIT LICENSE.MIT "${nlohmann_json_VERSION}"
                 nlohmann-json3-dev nlohmann-json)
pocketglm_notice(pcre2 PCRE2 BSD-3-Clause LICENCE "${PCRE2_VERSION}" libpcre2-dev pcre2)
pocketglm_notice(xxhash xxHash BSD-2-Clause LICENSE "${xxhash_VERSION}" libxxhash-dev xxhash)
if(POCKETGLM_TOOLS)
  pocketglm_notice(cli11 CLI11 BSD-3-Clause LICENSE "${CLI11_VERSION}" libcli11-dev cli11)
  if(TARGET PkgConfig::LIBEDIT)
    pocketglm_notice(libedit libedit BSD-3-Clause COPYING "${LIBEDIT_VERSION}" libedit-dev libedit)
  endif()
endif()
if(POCKETGLM_BENCHMARKS)
  pocketglm_notice(benchmark "Google Benchmark" Apache-2.0 LICENSE "${benchmark_VERSION}"
                   libbenchmark-dev benchmark)
endif()
file(RENAME ${notices}.tmp ${notices})
