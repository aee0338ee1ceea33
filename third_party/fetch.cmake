# pocketglm_fetch(<name> GIT <repository> <commit> DEBIAN <source package> <sha256>)
#
# Sets <name>_SOURCE_DIR to the dependency's source tree, pinned either way: by the full commit hash
# or by the SHA-256 of Debian's archive, and <name>_ORIGIN to a line that says which. Trees are kept in
# POCKETGLM_CACHE_DIR and shared by all build trees, so everything is fetched once per machine. For a
# machine without network: copy that folder from another one, or drop Debian's
# <package>_<version>.orig.tar.* into it.

if(DEFINED ENV{XDG_CACHE_HOME})
  set(cache $ENV{XDG_CACHE_HOME}/pocketglm)
elseif(DEFINED ENV{HOME})
  set(cache $ENV{HOME}/.cache/pocketglm)
else()
  set(cache ${PROJECT_BINARY_DIR}/cache)
endif()
set(POCKETGLM_CACHE_DIR ${cache} CACHE PATH "Where fetched sources are kept")
# A binary does not say where: in ours are headers of theirs.
foreach(directory ${PROJECT_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR})
  set_property(DIRECTORY ${directory} APPEND PROPERTY
               COMPILE_OPTIONS -ffile-prefix-map=${POCKETGLM_CACHE_DIR}=third_party)
endforeach()

# Moves a finished tree to its final name; only whole trees ever carry one.
function(_pocketglm_keep tree final)
  file(REMOVE_RECURSE ${final})
  file(RENAME ${tree} ${final})
endfunction()

function(_pocketglm_fetch_git repository commit final)
  find_package(Git QUIET)
  if(NOT Git_FOUND)
    return()
  endif()
  set(ENV{GIT_TERMINAL_PROMPT} 0)
  # Behind a firewall that drops packets a connection would hang for minutes.
  execute_process(COMMAND ${GIT_EXECUTABLE} ls-remote --quiet ${repository} HEAD TIMEOUT 20
                  RESULT_VARIABLE unreachable OUTPUT_QUIET ERROR_QUIET)
  if(unreachable)
    return()
  endif()
  set(tree ${final}.tmp)
  file(REMOVE_RECURSE ${tree})
  file(MAKE_DIRECTORY ${tree})
  foreach(command "init" "fetch;--depth=1;${repository};${commit}" "checkout;--detach;${commit}")
    execute_process(COMMAND ${GIT_EXECUTABLE} ${command} WORKING_DIRECTORY ${tree}
                    RESULT_VARIABLE failed OUTPUT_QUIET ERROR_QUIET)
    if(failed)
      file(REMOVE_RECURSE ${tree})
      return()
    endif()
  endforeach()
  file(REMOVE_RECURSE ${tree}/.git)
  _pocketglm_keep(${tree} ${final})
endfunction()

function(_pocketglm_extract archive final)
  set(folder ${final}.tmp)
  file(REMOVE_RECURSE ${folder})
  file(ARCHIVE_EXTRACT INPUT ${archive} DESTINATION ${folder})
  file(GLOB tree LIST_DIRECTORIES ON ${folder}/*)  # Archives hold one folder.
  _pocketglm_keep(${tree} ${final})
  file(REMOVE_RECURSE ${folder})
endfunction()

function(_pocketglm_fetch_debian package sha256 final)
  foreach(attempt RANGE 1)
    file(GLOB archives ${POCKETGLM_CACHE_DIR}/${package}_*.orig.tar.*)
    foreach(archive IN LISTS archives)
      file(SHA256 ${archive} hash)
      if(hash STREQUAL sha256)
        _pocketglm_extract(${archive} ${final})
        return()
      endif()
    endforeach()
    if(attempt EQUAL 0)
      execute_process(COMMAND sh ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/fetch_debian_source
                              ${package} ${sha256} ${POCKETGLM_CACHE_DIR})
    endif()
  endforeach()
endfunction()

function(pocketglm_fetch name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "GIT;DEBIAN")
  list(GET arg_GIT 0 repository)
  list(GET arg_GIT 1 commit)
  list(GET arg_DEBIAN 0 package)
  list(GET arg_DEBIAN 1 sha256)
  string(SUBSTRING ${commit} 0 12 short_commit)
  string(SUBSTRING ${sha256} 0 12 short_sha256)
  set(from_git ${POCKETGLM_CACHE_DIR}/${name}-git-${short_commit})
  set(from_debian ${POCKETGLM_CACHE_DIR}/${name}-debian-${short_sha256})

  file(MAKE_DIRECTORY ${POCKETGLM_CACHE_DIR})
  file(LOCK ${POCKETGLM_CACHE_DIR} DIRECTORY GUARD FUNCTION TIMEOUT 600)
  if(NOT EXISTS ${from_git} AND NOT EXISTS ${from_debian})
    message(STATUS "${name}: fetching ${repository} at ${commit}")
    _pocketglm_fetch_git(${repository} ${commit} ${from_git})
  endif()
  if(NOT EXISTS ${from_git} AND NOT EXISTS ${from_debian})
    message(STATUS "${name}: not to be had there; looking for Debian's source package ${package}")
    _pocketglm_fetch_debian(${package} ${sha256} ${from_debian})
  endif()

  foreach(tree ${from_git} ${from_debian})
    if(EXISTS ${tree})
      message(STATUS "${name}: ${tree}")
      set(${name}_SOURCE_DIR ${tree} PARENT_SCOPE)
      if(tree STREQUAL from_git)
        set(${name}_ORIGIN "${repository}, commit ${commit}" PARENT_SCOPE)
      else()
        set(${name}_ORIGIN "${repository}, archive with SHA-256 ${sha256}" PARENT_SCOPE)
      endif()
      return()
    endif()
  endforeach()
  message(FATAL_ERROR
    "PocketGLM needs ${name} and could not get it. Any one of these will do:\n"
    "  - an installed package that CMake finds (third_party/README.md lists versions)\n"
    "  - network access to ${repository} (commit ${commit}) and git\n"
    "  - on a Debian machine, apt-get with network access and dpkg-dev (source package ${package})\n"
    "  - the file ${package}_<version>.orig.tar.* with SHA-256 ${sha256} in ${POCKETGLM_CACHE_DIR}\n"
    "  - the folder ${POCKETGLM_CACHE_DIR} copied from a machine that has built PocketGLM")
endfunction()

# Adds a fetched dependency to the build: only what our targets use is built, none of it is
# installed, its headers are system headers. Sets <name>_BINARY_DIR.
macro(pocketglm_add_subdirectory name)
  set(${name}_BINARY_DIR ${PROJECT_BINARY_DIR}/third_party/${name})
  set(CMAKE_MESSAGE_LOG_LEVEL WARNING)
  add_subdirectory(${${name}_SOURCE_DIR} ${${name}_BINARY_DIR} EXCLUDE_FROM_ALL SYSTEM)
  unset(CMAKE_MESSAGE_LOG_LEVEL)
endmacro()
