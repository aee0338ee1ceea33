# pocketglm_binutil(<variable> <program>): the program of GNU binutils that belongs to the compiler,
# which knows the one for its target; CMake might pick LLVM's, whose linker cannot do what is asked
# of it below.
function(pocketglm_binutil variable program)
  if(NOT ${variable})
    set(target)
    if(CMAKE_CXX_COMPILER_TARGET)
      set(target --target=${CMAKE_CXX_COMPILER_TARGET})
    endif()
    execute_process(COMMAND ${CMAKE_CXX_COMPILER} ${target} -print-prog-name=${program}
                    OUTPUT_VARIABLE path OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
    find_program(${variable} NAMES ${path} DOC "GNU ${program}" NO_CMAKE_FIND_ROOT_PATH REQUIRED)
  endif()
endfunction()

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
    pocketglm_binutil(POCKETGLM_LD ld.bfd)
    pocketglm_binutil(POCKETGLM_OBJCOPY objcopy)
    # Dissolving the groups turns COMDAT sections into ordinary ones, which the final link keeps
    # even where another object has a group of the same name.
    set(commands
      COMMAND ${POCKETGLM_LD} -r --force-group-allocation ${objects} -o ${linked}
      COMMAND ${POCKETGLM_OBJCOPY} --keep-global-symbol=${table}
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
