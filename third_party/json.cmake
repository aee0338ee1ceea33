# nlohmann/json: config.json, tokenizer.json, safetensors headers, statistics.
pocketglm_find_package(nlohmann_json 3.10 CONFIG)
if(TARGET nlohmann_json::nlohmann_json)
  message(STATUS "nlohmann/json ${nlohmann_json_VERSION}: installed")
  return()
endif()
pocketglm_fetch(json
  GIT https://github.com/nlohmann/json 9cca280a4d0ccf0c08f47a99aa71d1b0e52f8d03  # 3.11.3
  DEBIAN nlohmann-json3 d69f9deb6a75e2580465c6c4c5111b89c4dc2fa94e3a85fcd2ffcd9a143d9273)  # 3.11.2
set(JSON_BuildTests OFF CACHE BOOL "" FORCE)
pocketglm_add_subdirectory(json)
