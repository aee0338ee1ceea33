# The ISA levels: the one place that knows their names, compile flags and required CPU features.
#
# A kernel source is compiled once per level of the target architecture. What a CPU must have to run
# a level is derived from that level's flags, so no flag can go undetected. arch/CMakeLists.txt
# writes it all into arch/levels_generated.h, the list arch/level.cc detects by.
#
# Adding a level: a pocketglm_level() line here and a block in kernels/level-inl.h.

if(CMAKE_OSX_ARCHITECTURES)
  set(processor ${CMAKE_OSX_ARCHITECTURES})
else()
  set(processor ${CMAKE_SYSTEM_PROCESSOR})
endif()
if(processor MATCHES "^(x86_64|AMD64|amd64)$")
  set(POCKETGLM_ARCHITECTURE x86_64)
elseif(processor MATCHES "^(aarch64|arm64|ARM64)$")
  set(POCKETGLM_ARCHITECTURE aarch64)
else()
  message(FATAL_ERROR "PocketGLM runs on x86-64 and aarch64; this build is for '${processor}'")
endif()

# pocketglm_flag(<compile flag> [<feature> <detector>]...)
# What a CPU must have to run code compiled with the flag. The feature is the name people know it
# by, the detector a function of arch/level.cc.
function(pocketglm_flag flag)
  set(POCKETGLM_REQUIRES_${flag} "${ARGN}" PARENT_SCOPE)
endfunction()

option(POCKETGLM_LOWEST_LEVEL_ONLY
       "Build the lowest ISA level only: all that fuzzing, clang-tidy and ThreadSanitizer need" OFF)

# pocketglm_level(<name> <enumerator> <architecture> <compile flag>...)
# Levels of one architecture are listed worst first: all of them in POCKETGLM_KNOWN_LEVELS, those
# that are built in POCKETGLM_LEVELS.
set(POCKETGLM_KNOWN_LEVELS)
set(POCKETGLM_LEVELS)
function(pocketglm_level name enumerator architecture)
  if(NOT architecture STREQUAL POCKETGLM_ARCHITECTURE)
    return()
  endif()
  if(NOT POCKETGLM_LEVELS OR NOT POCKETGLM_LOWEST_LEVEL_ONLY)
    set(POCKETGLM_LEVELS ${POCKETGLM_LEVELS} ${name} PARENT_SCOPE)
  endif()
  set(POCKETGLM_KNOWN_LEVELS ${POCKETGLM_KNOWN_LEVELS} ${name} PARENT_SCOPE)
  set(POCKETGLM_LEVEL_${name}_ENUMERATOR ${enumerator} PARENT_SCOPE)
  set(POCKETGLM_LEVEL_${name}_FLAGS ${ARGN} PARENT_SCOPE)
endfunction()

pocketglm_flag(-mavx2 AVX2 cpuinfo_has_x86_avx2)
pocketglm_flag(-mfma FMA cpuinfo_has_x86_fma3)
pocketglm_flag(-mf16c F16C cpuinfo_has_x86_f16c)
pocketglm_flag(-mbmi BMI1 cpuinfo_has_x86_bmi)
pocketglm_flag(-mbmi2 BMI2 cpuinfo_has_x86_bmi2)
pocketglm_flag(-maes AES cpuinfo_has_x86_aes)
pocketglm_flag(-mpclmul PCLMULQDQ cpuinfo_has_x86_pclmulqdq)
pocketglm_flag(-mavxvnni AVX-VNNI cpuinfo_has_x86_avxvnni)
pocketglm_flag(-mavx512f AVX512F cpuinfo_has_x86_avx512f)
pocketglm_flag(-mavx512cd AVX512CD cpuinfo_has_x86_avx512cd)
pocketglm_flag(-mavx512bw AVX512BW cpuinfo_has_x86_avx512bw)
pocketglm_flag(-mavx512dq AVX512DQ cpuinfo_has_x86_avx512dq)
pocketglm_flag(-mavx512vl AVX512VL cpuinfo_has_x86_avx512vl)
pocketglm_flag(-mavx512vnni AVX512VNNI cpuinfo_has_x86_avx512vnni)
pocketglm_flag(-mamx-tile AMX-TILE HasX86AmxTile)
pocketglm_flag(-mamx-int8 AMX-INT8 cpuinfo_has_x86_amx_int8)
pocketglm_flag(-march=armv8-a)
pocketglm_flag(-march=armv8.2-a+dotprod
               LSE HasArmLse RDM HasArmRdm CRC32 HasArmCrc32 DotProd HasArmDotProd)
pocketglm_flag(-march=armv8.2-a+dotprod+i8mm
               LSE HasArmLse RDM HasArmRdm CRC32 HasArmCrc32 DotProd HasArmDotProd I8MM HasArmI8mm)

# Without the last four flags Highway silently takes a target below AVX2.
set(avx2_flags -mavx2 -mfma -mf16c -mbmi -mbmi2 -maes -mpclmul)
set(avx512_vnni_flags
    ${avx2_flags} -mavx512f -mavx512cd -mavx512bw -mavx512dq -mavx512vl -mavx512vnni)

pocketglm_level(avx2 kAvx2 x86_64 ${avx2_flags})
pocketglm_level(avx_vnni kAvxVnni x86_64 ${avx2_flags} -mavxvnni)
pocketglm_level(avx512_vnni kAvx512Vnni x86_64 ${avx512_vnni_flags})
pocketglm_level(amx_int8 kAmxInt8 x86_64 ${avx512_vnni_flags} -mamx-tile -mamx-int8)
pocketglm_level(neon kNeon aarch64 -march=armv8-a)
pocketglm_level(dotprod kDotprod aarch64 -march=armv8.2-a+dotprod)
pocketglm_level(i8mm kI8mm aarch64 -march=armv8.2-a+dotprod+i8mm)
