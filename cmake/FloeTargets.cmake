# How every target of Floe is compiled. Libraries are internal object collections, linked by name:
#   floe_format -> floe_backends -> floe_runtime (installed as libfloe) -> floe_compiler -> tools.

include(GNUInstallDirs)

add_library(floe_options INTERFACE)
target_include_directories(floe_options INTERFACE
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}> $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}>)
target_compile_options(floe_options INTERFACE -Wall -Wextra $<$<BOOL:${FLOE_WERROR}>:-Werror>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC 12 warns wrongly about std::string's assignment of literals (its bug 105651).
  target_compile_options(floe_options INTERFACE -Wno-restrict)
endif()
if(FLOE_SANITIZE)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # GCC's manual: with sanitizers this warning has false positives. The plain build has it on.
    target_compile_options(floe_options INTERFACE -Wno-maybe-uninitialized)
  endif()
  add_compile_options(-fsanitize=${FLOE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${FLOE_SANITIZE})
  if(FLOE_SANITIZE MATCHES "undefined")
    # UBSan's vptr check needs RTTI, which floe_lean code does not have; its callers check, too.
    target_compile_options(floe_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-fno-sanitize=vptr>)
  endif()
endif()
if(FLOE_COVERAGE)
  add_compile_options(--coverage)
  add_link_options(--coverage)
endif()

# Code of format/, backends/ and runtime/: errors are values, no exceptions, no RTTI, and no
# contraction of a * b + c into an FMA unless the source says fma. Link it PRIVATE: the compiler and
# the tests, which link these libraries, keep exceptions and RTTI.
add_library(floe_lean INTERFACE)
target_link_libraries(floe_lean INTERFACE floe_options)
target_compile_options(floe_lean INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions -fno-rtti> -ffp-contract=off)

# floe_precompile(target...): the targets, parts of the compiler, read cmake/precompiled.h in one
# piece. For builds that are made as a whole; the others show whether every file includes what it
# uses.
function(floe_precompile)
  if(NOT FLOE_PRECOMPILE)
    return()
  endif()
  if(NOT TARGET floe_precompiled)
    set(source ${PROJECT_BINARY_DIR}/floe_precompiled.cc)
    file(CONFIGURE OUTPUT ${source} CONTENT "// Nothing: the target is its header.\n")
    add_library(floe_precompiled OBJECT ${source})
    target_link_libraries(floe_precompiled PRIVATE floe_options absl::statusor absl::str_format)
    target_precompile_headers(floe_precompiled PRIVATE ${PROJECT_SOURCE_DIR}/cmake/precompiled.h)
  endif()
  foreach(target ${ARGN})
    target_precompile_headers(${target} REUSE_FROM floe_precompiled)
  endforeach()
endfunction()

# floe_test(NAME name SOURCES a.cc... LIBS lib... [LABELS label...] [TIMEOUT seconds])
# A GoogleTest binary that ctest runs as one test from the repository's root.
function(floe_test)
  cmake_parse_arguments(T "" "NAME;TIMEOUT" "SOURCES;LIBS;LABELS;ARGS" ${ARGN})
  add_executable(${T_NAME} ${T_SOURCES})
  target_link_libraries(${T_NAME} PRIVATE floe_options ${T_LIBS} GTest::gmock GTest::gtest_main)
  if(NOT T_TIMEOUT)
    set(T_TIMEOUT 300)
  endif()
  add_test(NAME ${T_NAME} COMMAND ${T_NAME} ${T_ARGS} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set_tests_properties(${T_NAME} PROPERTIES TIMEOUT ${T_TIMEOUT} LABELS "${T_LABELS}")
endfunction()
