# Native builds with clang: 19 where it is installed, else the default one.
find_program(POCKETGLM_CLANG NAMES clang-19 clang REQUIRED)
find_program(POCKETGLM_CLANGXX NAMES clang++-19 clang++ REQUIRED)
set(CMAKE_C_COMPILER ${POCKETGLM_CLANG})
set(CMAKE_CXX_COMPILER ${POCKETGLM_CLANGXX})
