# libstdc++ 12 made std::vector constexpr, and clang then instantiates LibTorch 1.13's vector<IValue> where IValue is
# still incomplete (ATen/core/List.h). The headers of version 11 compile, and link to the library of version 12.
# Makes clang use them.
if(NOT EXISTS /usr/include/c++/11/vector)
  message(FATAL_ERROR "clang needs Debian's package libstdc++-11-dev for LibTorch's headers")
endif()
add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-nostdinc++> -isystem/usr/include/c++/11
                    -isystem/usr/include/${CMAKE_LIBRARY_ARCHITECTURE}/c++/11)
