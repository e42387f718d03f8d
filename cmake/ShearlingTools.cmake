# SPDX-License-Identifier: GPL-3.0-or-later
# Compiler settings and the two functions with which every folder declares its target and its tests.

find_program(SHEARLING_CCACHE ccache)
if(SHEARLING_CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_NOHASHDIR=true ${SHEARLING_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_NOHASHDIR=true ${SHEARLING_CCACHE})
endif()
find_program(SHEARLING_MOLD mold)
if(SHEARLING_MOLD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_GREATER_EQUAL 12)
  add_link_options(-fuse-ld=mold)
endif()

set(SHEARLING_SANITIZE "" CACHE STRING "Sanitizers to build with, as for -fsanitize=")
if(SHEARLING_SANITIZE)
  add_compile_options(-fsanitize=${SHEARLING_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${SHEARLING_SANITIZE})
endif()

# With optimisation, GCC 12 sees overlaps in std::string's operator+ and overflows in std::vector's insert that are none
# (GCC bugs 105651 and 105329).
add_library(shearling_warnings INTERFACE)
target_compile_options(shearling_warnings INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wno-missing-field-initializers -Wno-restrict -Wno-stringop-overflow -Werror)

# shearling_library(NAME SOURCES a.cpp ... DEPENDS lib ... PRIVATE_DEPENDS lib ...)
# Headers are included from the top of the tree: #include "core/events/event.h".
function(shearling_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS;PRIVATE_DEPENDS" ${ARGN})
  if(ARG_SOURCES)
    add_library(${name} STATIC ${ARG_SOURCES})
    target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR})
    target_link_libraries(${name} PUBLIC ${ARG_DEPENDS} PRIVATE shearling_warnings ${ARG_PRIVATE_DEPENDS})
  else()
    add_library(${name} INTERFACE)
    target_include_directories(${name} INTERFACE ${CMAKE_SOURCE_DIR})
    target_link_libraries(${name} INTERFACE ${ARG_DEPENDS})
  endif()
endfunction()

# shearling_test(NAME SOURCES x_test.cpp DEPENDS lib ... [LABELS l ...] [TIMEOUT seconds] [ENVIRONMENT K=V ...])
# One Qt Test executable, registered with ctest under its own name; it links the production library.
function(shearling_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;DEPENDS;LABELS;ENVIRONMENT" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  set_target_properties(${name} PROPERTIES AUTOMOC ON RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin/tests)
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR})
  target_compile_definitions(${name} PRIVATE
    SHEARLING_SOURCE_DIR="${CMAKE_SOURCE_DIR}" SHEARLING_BINARY_DIR="${CMAKE_BINARY_DIR}")
  target_link_libraries(${name} PRIVATE ${ARG_DEPENDS} shearling_warnings Qt6::Core Qt6::Test)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}" ENVIRONMENT "${ARG_ENVIRONMENT}")
endfunction()
