# One library per folder of src/gas, linked as tools/layers.txt says, all on one precompiled header.

# Designated initialisers leave fields to their defaults on purpose.
set(GAS_WARNINGS -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers)
if(GAS_UNITY AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  list(APPEND GAS_WARNINGS -Wno-subobject-linkage)  # meant for headers; GCC takes the files of a unit for such
endif()

# A LibTorch that brings headers of fmt hides the system's, and the system's library is of another version than those headers:
# then fmt is compiled into what uses it.
if(LibTorch_BUNDLES_FMT)
  set(GAS_FMT fmt::fmt-header-only)
else()
  set(GAS_FMT fmt::fmt)
endif()

# What every target of ours is compiled with; identical everywhere, so that the precompiled header can be shared.
function(gas_common target)
  target_include_directories(${target} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/src>
                                              $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>
                                              $<INSTALL_INTERFACE:include>)
  target_compile_options(${target} PRIVATE ${GAS_WARNINGS})
  target_link_libraries(${target} PUBLIC LibTorch::LibTorch nlohmann_json::nlohmann_json ${GAS_FMT} Threads::Threads
                                         OpenMP::OpenMP_CXX)
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
    set_property(GLOBAL APPEND PROPERTY GAS_LIBRARIES gas_${folder})
    # LibTorch's headers are most of the cost of a file; several files to a translation unit share it.
    set_target_properties(gas_${folder} PROPERTIES UNITY_BUILD ${GAS_UNITY} UNITY_BUILD_BATCH_SIZE ${GAS_UNITY_BATCH})
    foreach(used IN LISTS uses)
      target_link_libraries(gas_${folder} PUBLIC gas_${used})
    endforeach()
  endforeach()
  set_source_files_properties(${GAS_ALONE} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  target_link_libraries(gas_io PUBLIC PNG::PNG ZLIB::ZLIB OpenSSL::Crypto yaml-cpp)
  target_link_libraries(gas_models PUBLIC utf8proc::utf8proc)
  target_link_libraries(gas_cli PUBLIC CLI11::CLI11 ${CMAKE_DL_LIBS})
  target_compile_definitions(gas_cli PRIVATE GAS_VERSION="${PROJECT_VERSION}")
  gas_embed_hosts(gas_export)
  # The weights of the source tree, so that a program runs where it was built.
  target_compile_definitions(gas_models PRIVATE GAS_SOURCE_MODELS="${PROJECT_SOURCE_DIR}/models")
endfunction()

# What other programs need to run a solver, as a source file: `gas export` works without looking for files.
function(gas_embed_hosts target)
  set(folder ${PROJECT_SOURCE_DIR}/hosts)
  file(GLOB files RELATIVE ${folder} CONFIGURE_DEPENDS ${folder}/python/*.py ${folder}/c/*.[ch] ${folder}/readme/*.md
       ${folder}/sd.cpp/*.patch)
  list(TRANSFORM files PREPEND ${folder}/ OUTPUT_VARIABLE paths)
  list(JOIN files "|" names)
  set(source ${PROJECT_BINARY_DIR}/embedded_hosts.cc)
  set(script ${PROJECT_SOURCE_DIR}/cmake/EmbedHosts.cmake)
  add_custom_command(OUTPUT ${source} DEPENDS ${paths} ${script} VERBATIM
                     COMMAND ${CMAKE_COMMAND} -DFOLDER=${folder} -DFILES=${names} -DOUT=${source} -P ${script})
  target_sources(${target} PRIVATE ${source})
endfunction()

# Tests run side by side: a thread that waits must not spin on the core of another.
set(GAS_TEST_THREADS "OMP_WAIT_POLICY=passive")

# gas_test(folder/name LABELS fast|slow [TIMEOUT s]): the tests of tests/folder/name.cc. The files of a folder share an
# executable, since LibTorch's headers and linking are most of what a test costs. Its fast files are one test of ctest,
# folder/fast, since loading LibTorch is most of what such a file's tests take; each slow file is one, with its own name.
function(gas_test path)
  cmake_parse_arguments(ARG "" "TIMEOUT" "LABELS" ${ARGN})
  if("slow" IN_LIST ARG_LABELS AND NOT GAS_SLOW_TESTS)
    return()
  endif()
  get_filename_component(folder ${path} DIRECTORY)
  set(source ${PROJECT_SOURCE_DIR}/tests/${path}.cc)
  set(target ${folder}_tests)
  if(NOT TARGET ${target})
    add_executable(${target})
    target_link_libraries(${target} PRIVATE gas_test_support)
    target_precompile_headers(${target} REUSE_FROM gas_core)
    target_compile_options(${target} PRIVATE ${GAS_WARNINGS})
    # -O1 is the least that shares the precompiled header, with GCC 13 and up -O2.
    if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "GNU" OR CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
      target_compile_options(${target} PRIVATE -O1)
    endif()
    set_target_properties(${target} PROPERTIES UNITY_BUILD ${GAS_UNITY} UNITY_BUILD_BATCH_SIZE ${GAS_UNITY_BATCH})
  endif()
  target_sources(${target} PRIVATE ${source})

  set_property(DIRECTORY ${PROJECT_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${source})
  file(STRINGS ${source} lines REGEX "^TEST(_F|_P)?\\(")
  set(suites)
  foreach(line IN LISTS lines)
    string(REGEX REPLACE "^[A-Z_]+\\( *([A-Za-z0-9_]+).*" "\\1" suite "${line}")
    list(APPEND suites ${suite})
  endforeach()
  list(REMOVE_DUPLICATES suites)
  get_property(known TARGET ${target} PROPERTY GAS_SUITES)
  foreach(suite IN LISTS suites)
    if(suite IN_LIST known)
      message(FATAL_ERROR "tests/${path}.cc: another file of its folder has a test suite ${suite} too")
    endif()
  endforeach()
  file(STRINGS ${source} typed REGEX "^TYPED_TEST")
  if(typed OR NOT suites)
    message(FATAL_ERROR "tests/${path}.cc: needs tests, and none of TYPED_TEST, which the filters below do not select")
  endif()
  set_property(TARGET ${target} APPEND PROPERTY GAS_SUITES ${suites})
  list(TRANSFORM suites REPLACE "(.+)" "\\1.*:*/\\1.*")
  list(JOIN suites ":" filter)

  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  if("fast" IN_LIST ARG_LABELS)
    set(name ${folder}/fast)
    set_property(TARGET ${target} APPEND PROPERTY GAS_FAST_SUITES ${filter})
    set(filter "$<JOIN:$<TARGET_PROPERTY:${target},GAS_FAST_SUITES>,:>")
  else()
    set(name ${path})
  endif()
  if(NOT TEST ${name})
    add_test(NAME ${name} COMMAND ${target} "--gtest_filter=${filter}")
    set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT}
                         ENVIRONMENT "GAS_SOURCE_DIR=${PROJECT_SOURCE_DIR};${GAS_TEST_THREADS}")
  endif()
endfunction()
