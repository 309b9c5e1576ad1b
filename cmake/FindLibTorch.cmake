# LibTorch as the target LibTorch::LibTorch: the system's, or the one in the folder GAS_LIBTORCH, which may be an unpacked
# LibTorch, a Python environment, its site-packages, or the torch folder in them.
#
# The CMake files that come with a LibTorch for CUDA want a CUDA toolkit with a compiler, find the system's NCCL before their
# own, and probe for a GPU. Nothing here is CUDA code, so the libraries are taken as they lie. Debian's files know what its
# LibTorch needs (glog above all) and are used as they are.
#
# Sets LibTorch_FOUND, LibTorch_VERSION, and LibTorch_BUNDLES_FMT if its headers include a fmt of their own.

set(GAS_LIBTORCH "" CACHE PATH "Folder of a LibTorch or of a Python environment with PyTorch; empty: the system's LibTorch")
include(FindPackageHandleStandardArgs)

# The folder that has include/ and lib/, or nothing.
function(gas_libtorch_root given result)
  file(GLOB candidates ${given} ${given}/libtorch ${given}/torch ${given}/lib/python3*/site-packages/torch
       ${given}/lib/python3*/dist-packages/torch)
  foreach(candidate IN LISTS candidates)
    if(EXISTS ${candidate}/include/ATen/ATen.h AND EXISTS ${candidate}/lib/libtorch.so)
      set(${result} ${candidate} PARENT_SCOPE)
      return()
    endif()
  endforeach()
  message(FATAL_ERROR "GAS_LIBTORCH = ${given}: there is no LibTorch there (include/ATen/ATen.h and lib/libtorch.so)")
endfunction()

# "2.15.0" out of torch/version.h, which newer versions keep in another folder.
function(gas_libtorch_version include result)
  set(header ${include}/torch/csrc/api/include/torch/version.h)
  if(EXISTS ${include}/torch/headeronly/version.h)
    set(header ${include}/torch/headeronly/version.h)
  endif()
  file(READ ${header} text)
  foreach(part MAJOR MINOR PATCH)
    string(REGEX MATCH "define TORCH_VERSION_${part} ([0-9]+)" _ "${text}")
    list(APPEND numbers ${CMAKE_MATCH_1})
  endforeach()
  list(JOIN numbers . version)
  set(${result} ${version} PARENT_SCOPE)
endfunction()

set(LibTorch_BUNDLES_FMT OFF)
if(GAS_LIBTORCH)
  gas_libtorch_root(${GAS_LIBTORCH} LibTorch_FOLDER)
  set(LibTorch_INCLUDE_DIR ${LibTorch_FOLDER}/include)
  set(LibTorch_LIBRARY ${LibTorch_FOLDER}/lib/libtorch.so)
  gas_libtorch_version(${LibTorch_INCLUDE_DIR} LibTorch_VERSION)

  if(EXISTS ${LibTorch_INCLUDE_DIR}/fmt/format.h)
    set(LibTorch_BUNDLES_FMT ON)
  endif()

  set(config ${LibTorch_FOLDER}/share/cmake/Torch/TorchConfig.cmake)
  if(EXISTS ${config})
    file(STRINGS ${config} old_strings REGEX "_GLIBCXX_USE_CXX11_ABI=0")
    if(old_strings)
      message(FATAL_ERROR "GAS_LIBTORCH = ${GAS_LIBTORCH}: LibTorch ${LibTorch_VERSION} there is built for the strings of "
              "GCC 4, which no other library here is; take the build that is named cxx11-abi, or PyTorch 2.7 or newer")
    endif()
  endif()

  if(NOT TARGET LibTorch::LibTorch)
    add_library(LibTorch::LibTorch INTERFACE IMPORTED)
    target_include_directories(LibTorch::LibTorch INTERFACE ${LibTorch_INCLUDE_DIR}
                                                            ${LibTorch_INCLUDE_DIR}/torch/csrc/api/include)
    # libtorch.so is linked for what it brings: the kernels of each device, which register themselves when they are loaded.
    target_link_options(LibTorch::LibTorch INTERFACE -Wl,--no-as-needed)
    # The library of PyTorch 2.11 also shows parts of std::filesystem that do not work outside it. So the C++ library stands
    # before it, behind what needs it: a compiler may have it as an archive alone, of which only what is missing is taken.
    target_link_libraries(LibTorch::LibTorch INTERFACE -lstdc++ ${LibTorch_LIBRARY} ${LibTorch_FOLDER}/lib/libtorch_cpu.so
                                                       ${LibTorch_FOLDER}/lib/libc10.so)
    # PyTorch's CUDA libraries are packages beside it. LibTorch knows its way to them when it runs; the linker has to be told,
    # or it takes the system's of the same name.
    file(GLOB folders ${LibTorch_FOLDER}/../nvidia/*/lib)
    foreach(folder IN LISTS folders)
      target_link_options(LibTorch::LibTorch INTERFACE -Wl,-rpath-link,${folder})
    endforeach()
  endif()
else()
  find_package(Torch QUIET)
  set(LibTorch_VERSION ${Torch_VERSION})
  set(LibTorch_INCLUDE_DIR ${TORCH_INCLUDE_DIRS})
  set(LibTorch_LIBRARY ${TORCH_LIBRARY})
  if(Torch_FOUND AND NOT TARGET LibTorch::LibTorch)
    add_library(LibTorch::LibTorch INTERFACE IMPORTED)
    target_include_directories(LibTorch::LibTorch SYSTEM INTERFACE ${TORCH_INCLUDE_DIRS})
    target_link_libraries(LibTorch::LibTorch INTERFACE ${TORCH_LIBRARIES})
  endif()
endif()

# Newer ones run networks that PyTorch's AOTInductor has compiled.
find_path(LibTorch_PACKAGE_LOADER torch/csrc/inductor/aoti_package/model_package_loader.h PATHS ${LibTorch_INCLUDE_DIR}
          NO_DEFAULT_PATH)
mark_as_advanced(LibTorch_PACKAGE_LOADER)
if(TARGET LibTorch::LibTorch AND LibTorch_PACKAGE_LOADER)
  target_compile_definitions(LibTorch::LibTorch INTERFACE GAS_LIBTORCH_RUNS_PACKAGES)
endif()

find_package_handle_standard_args(LibTorch REQUIRED_VARS LibTorch_LIBRARY LibTorch_INCLUDE_DIR
                                  VERSION_VAR LibTorch_VERSION)
