# pocketglm_link_level(<level> <variable>): links the objects of pocketglm_kernels_<level> into one
# whose only global symbol is the level's table; sets <variable> to its path.
function(pocketglm_link_level level variable)
  set(objects $<TARGET_OBJECTS:pocketglm_kernels_${level}>)
  set(linked ${CMAKE_CURRENT_BINARY_DIR}/kernels_${level}.o)
  set(table pocketglm_kernels_${level})
  if(APPLE)
    # Written for, untried.
    set(commands COMMAND ${CMAKE_LINKER} -r -exported_symbol _${table} ${objects} -o ${linked})
  else()
    # Dissolving the groups turns COMDAT sections into ordinary ones, which the final link keeps
    # even where another object has a group of the same name.
    set(commands
      COMMAND ${CMAKE_LINKER} -r --force-group-allocation ${objects} -o ${linked}
      COMMAND ${CMAKE_OBJCOPY} --keep-global-symbol=${table}
              # Clang's AddressSanitizer: one flag per program says that its globals are registered.
              --keep-global-symbol=___asan_globals_registered ${linked})
  endif()
  add_custom_command(
    OUTPUT ${linked}
    ${commands}
    DEPENDS pocketglm_kernels_${level} ${objects}
    COMMENT "Linking the kernels of level ${level}"
    COMMAND_EXPAND_LISTS
    VERBATIM)
  set_source_files_properties(${linked} PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)
  set(${variable} ${linked} PARENT_SCOPE)
endfunction()
