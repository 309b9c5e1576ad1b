#!/bin/sh
# Downloads the Debian packages that tools/gpu_check.sh needs to build into build/gpu-debs, for a machine with a GPU that has no
# network and not these packages. Usage: tools/gpu_check_debs.sh, on Debian 12; then carry build/gpu-debs over with the tree.
set -eu
cd "$(dirname "$0")/.."
mkdir -p build/gpu-debs
cd build/gpu-debs
# Headers and CMake files, and the shared libraries that they point to. LibTorch brings its own fmt; its CMake file is wanted.
apt-get download nlohmann-json3-dev libfmt-dev libfmt9 libcli11-dev libyaml-cpp-dev libyaml-cpp0.7 libutf8proc-dev libutf8proc2 libpng-dev libpng16-16 zlib1g-dev \
  zlib1g libgtest-dev libgmock-dev googletest libbenchmark-dev libbenchmark1debian
du -sh .
