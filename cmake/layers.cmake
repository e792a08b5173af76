# A layer is a folder of src/: one object library of all its sources.  Layers without sources are skipped.
set(TEMPER_LAYER_OBJECTS "" CACHE INTERNAL "")
set(TEMPER_TORCHLESS_LAYERS base)

# The heavy headers of most files, compiled once.  What every ATen/ops/<op>.h includes is here, the operators are not: those a
# file includes itself.  Debug builds go without, so that a file that forgets an include is found.
option(TEMPER_PRECOMPILE "precompile the headers of torch, fmt and JSON" ON)
set(TEMPER_PRECOMPILED <ATen/Context.h> <ATen/DeviceGuard.h> <ATen/TensorUtils.h> <ATen/TracerMode.h> <ATen/core/Reduction.h>
  <ATen/core/Tensor.h> <fmt/format.h> <fmt/ranges.h> <nlohmann/json.hpp>)

# Files of a layer are compiled six at a time: instantiating the templates of fmt and JSON once for all of them saves half of the
# processor time of a first build.  Debug builds compile each file alone.
option(TEMPER_UNITY "compile several files of a layer together" ON)
set(CMAKE_UNITY_BUILD_BATCH_SIZE 6)
function(compile_together target)
  set_target_properties(${target} PROPERTIES UNITY_BUILD ${TEMPER_UNITY})
endfunction()

# precompile(TARGET OWNER HEADER...): OWNER is the target of the same flags that compiles the headers for all.
function(precompile target owner)
  if(NOT TEMPER_PRECOMPILE)
    return()
  elseif(target STREQUAL owner)
    target_precompile_headers(${target} PRIVATE ${ARGN})
  else()
    target_precompile_headers(${target} REUSE_FROM ${owner})
  endif()
  target_compile_options(${target} PRIVATE -fpch-preprocess)   # ccache looks at what is behind them, not at all their text
endfunction()

function(temper_layer name)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${name}/*.cpp)
  if(NOT sources)
    return()
  endif()
  add_library(temper_${name} OBJECT ${sources})
  if(NOT name STREQUAL "kernels")   # whose static objects have the same names in every file, and whose time goes into optimising
    compile_together(temper_${name})
  endif()
  target_link_libraries(temper_${name} PUBLIC temper_libraries)
  if(NOT name IN_LIST TEMPER_TORCHLESS_LAYERS)
    target_link_libraries(temper_${name} PUBLIC temper::torch)
    precompile(temper_${name} temper_tensor ${TEMPER_PRECOMPILED})
  endif()
  if(EXISTS ${CMAKE_SOURCE_DIR}/src/${name}/layer.cmake)
    include(${CMAKE_SOURCE_DIR}/src/${name}/layer.cmake)   # flags of single files, e.g. one instruction set each
  endif()
  set(TEMPER_LAYER_OBJECTS "${TEMPER_LAYER_OBJECTS};temper_${name}" CACHE INTERNAL "")
endfunction()

# All layers in one static library; the program is that library and src/<folder>/.
function(temper_program name folder)
  list(APPEND TEMPER_LAYER_OBJECTS)
  set(objects)
  foreach(layer IN LISTS TEMPER_LAYER_OBJECTS)
    if(layer)
      list(APPEND objects $<TARGET_OBJECTS:${layer}>)
    endif()
  endforeach()
  add_library(temper_core STATIC ${objects})
  target_link_libraries(temper_core PUBLIC temper_libraries temper::torch)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${folder}/*.cpp)
  list(FILTER sources EXCLUDE REGEX "/main\\.cpp$")
  add_library(temper_app STATIC ${sources})
  compile_together(temper_app)
  target_link_libraries(temper_app PUBLIC temper_core)
  precompile(temper_app temper_tensor)
  add_executable(${name} ${CMAKE_SOURCE_DIR}/src/${folder}/main.cpp)
  # Kernels register themselves from static objects: keep those that nothing names.
  target_link_libraries(${name} PRIVATE -Wl,--whole-archive temper_core -Wl,--no-whole-archive temper_app)
endfunction()

# One test binary for each folder of tests/ that has sources; CTest lists every single test.
function(temper_tests folder)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/${folder}/*_test.cpp)
  if(NOT sources)
    return()
  endif()
  string(REPLACE "/" "_" target "test_${folder}")
  add_executable(${target} ${sources})
  target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR}/tests)
  target_link_libraries(${target} PRIVATE temper_test_support -Wl,--whole-archive temper_core -Wl,--no-whole-archive temper_app GTest::gtest)
  target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-O1>)   # they are compiled more often than they run
  precompile(${target} test_base <gtest/gtest.h> ${TEMPER_PRECOMPILED} <ATen/TensorOperators.h> <ATen/ops/empty.h>)
  add_test(NAME ${folder} COMMAND ${target})
  set_tests_properties(${folder} PROPERTIES TIMEOUT 900)
endfunction()
