# One library per folder of src/gas, linked as tools/layers.txt says, all on one precompiled header.

set(GAS_WARNINGS -Wall -Wextra -Wno-unused-parameter)

# What every target of ours is compiled with; identical everywhere, so that the precompiled header can be shared.
function(gas_common target)
  target_include_directories(${target} PUBLIC ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR})
  target_include_directories(${target} SYSTEM PUBLIC ${TORCH_INCLUDE_DIRS})
  target_compile_options(${target} PRIVATE ${GAS_WARNINGS})
  target_link_libraries(${target} PUBLIC ${TORCH_LIBRARIES} nlohmann_json::nlohmann_json fmt::fmt
                                         Threads::Threads OpenMP::OpenMP_CXX)
  if(GAS_SANITIZE)
    target_compile_options(${target} PUBLIC -fsanitize=${GAS_SANITIZE} -fno-omit-frame-pointer)
    target_link_options(${target} PUBLIC -fsanitize=${GAS_SANITIZE})
  endif()
  if(NOT target STREQUAL "gas_core")
    target_precompile_headers(${target} REUSE_FROM gas_core)
  endif()
endfunction()

function(gas_add_libraries layers_file)
  file(STRINGS ${layers_file} lines REGEX "^[a-z_]+:")
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${layers_file})
  foreach(line IN LISTS lines)
    string(REGEX MATCH "^([a-z_]+):(.*)$" _ "${line}")
    set(folder ${CMAKE_MATCH_1})
    separate_arguments(uses UNIX_COMMAND "${CMAKE_MATCH_2}")
    file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/gas/${folder}/*.cc)
    list(FILTER sources EXCLUDE REGEX "/main\\.cc$")
    add_library(gas_${folder} STATIC ${sources})
    if(folder STREQUAL "core")
      target_precompile_headers(gas_core PRIVATE ${PROJECT_SOURCE_DIR}/src/gas/core/precompiled.h)
    endif()
    gas_common(gas_${folder})
    # Loading LibTorch's headers is half the cost of a file; several files to a translation unit share it. In some folders
    # files have the same local names, which they may.
    if(GAS_UNITY AND NOT folder MATCHES "^(cli|io|models|schedule)$")
      set_target_properties(gas_${folder} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 6)
    endif()
    foreach(used IN LISTS uses)
      target_link_libraries(gas_${folder} PUBLIC gas_${used})
    endforeach()
  endforeach()
  target_link_libraries(gas_io PUBLIC PNG::PNG ZLIB::ZLIB)
  target_link_libraries(gas_fit PUBLIC NLopt::nlopt)
  target_link_libraries(gas_cli PUBLIC CLI11::CLI11 ${CMAKE_DL_LIBS})
  # The weights of the source tree, so that a program runs where it was built.
  target_compile_definitions(gas_models PRIVATE GAS_SOURCE_MODELS="${PROJECT_SOURCE_DIR}/models")
endfunction()

# Tests run side by side: a thread that waits must not spin on the core of another.
set(GAS_TEST_THREADS "OMP_WAIT_POLICY=passive")

# gas_test(folder/name LABELS fast|slow [TIMEOUT s]): tests/folder/name.cc as one GoogleTest executable.
function(gas_test path)
  cmake_parse_arguments(ARG "" "TIMEOUT" "LABELS" ${ARGN})
  string(REPLACE "/" "_" name ${path})
  add_executable(${name} ${PROJECT_SOURCE_DIR}/tests/${path}.cc)
  target_link_libraries(${name} PRIVATE gas_test_support)
  target_precompile_headers(${name} REUSE_FROM gas_core)
  # Compilation is most of a test's cost; -O1 is the least that shares the precompiled header, with GCC 13 and up -O2.
  target_compile_options(${name} PRIVATE ${GAS_WARNINGS})
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "GNU" OR CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    target_compile_options(${name} PRIVATE -O1)
  endif()
  add_test(NAME ${path} COMMAND ${name})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  set_tests_properties(${path} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT}
                       ENVIRONMENT "GAS_SOURCE_DIR=${PROJECT_SOURCE_DIR};${GAS_TEST_THREADS}")
endfunction()
