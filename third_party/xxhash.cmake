# xxHash: one XXH3-128 per tensor of a model file. Header only (XXH_INLINE_ALL), as
# pocketglm_xxhash.
add_library(pocketglm_xxhash INTERFACE)
if(POCKETGLM_SYSTEM_DEPENDENCIES)
  find_path(POCKETGLM_XXHASH_INCLUDE_DIR xxhash.h)
endif()
if(POCKETGLM_XXHASH_INCLUDE_DIR)
  file(STRINGS ${POCKETGLM_XXHASH_INCLUDE_DIR}/xxhash.h minor REGEX "define XXH_VERSION_MINOR")
  string(REGEX MATCH "[0-9]+$" minor "${minor}")
  if(minor GREATER_EQUAL 8)  # 0.8 froze the hash
    set(xxhash_VERSION 0.${minor})
    message(STATUS "xxHash ${xxhash_VERSION}: installed")
    target_include_directories(pocketglm_xxhash SYSTEM INTERFACE ${POCKETGLM_XXHASH_INCLUDE_DIR})
    return()
  endif()
endif()
pocketglm_fetch(xxhash
  GIT https://github.com/Cyan4973/xxHash bbb27a5efb85b92a0486cf361a8635715a53f6ba  # 0.8.2
  DEBIAN xxhash 3bb6b7d6f30c591dd65aaaff1c8b7a5b94d81687998ca9400082c739a690436c)  # 0.8.1
target_include_directories(pocketglm_xxhash SYSTEM INTERFACE ${xxhash_SOURCE_DIR})
