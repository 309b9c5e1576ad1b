# Two commands do everything on a fresh Debian 12 machine: `make demo` and `make test`.

BUILD := build/release
JOBS ?= $(shell nproc)

.PHONY: all demo test fast bench model packages clean

all: $(BUILD)/build.ninja
	cmake --build --preset release -j $(JOBS) --target gas

demo: all
	$(BUILD)/gas demo

# The suite; `make fast` runs the part that ends within a minute.
test: $(BUILD)/build.ninja
	cmake --build --preset release -j $(JOBS)
	ctest --preset release -j $(JOBS)

fast: $(BUILD)/build.ninja
	cmake --build --preset release -j $(JOBS)
	ctest --preset fast -j $(JOBS)

bench: all
	$(BUILD)/gas bench

# Trains the embedded models again (models/README.md has the recipe and what it gives). Hours on a CPU.
model: all
	$(BUILD)/gas pretrain --what classifier --width 24 --images 420000 --batch 128 --lr 3e-3 --cooldown 0.7 \
	  --run runs/classifier --out models/fashion-features.safetensors
	$(BUILD)/gas pretrain --run runs/fashion --images 330000 --out models/fashion.safetensors

packages:
	tools/install_packages.sh packages.txt

$(BUILD)/build.ninja: CMakeLists.txt CMakePresets.json packages.txt
	tools/install_packages.sh packages.txt
	cmake --preset release

clean:
	rm -rf build
