# Two commands do everything on a fresh Debian 12 machine: `make demo` and `make test`.
# LIBTORCH=wheel takes PyTorch's wheel instead of Debian's LibTorch, LIBTORCH=/folder an unpacked LibTorch or the Python
# environment that has one. Each has a build folder of its own.

JOBS ?= $(shell nproc)
LIBTORCH ?=
WHEEL := build/wheel
WHEEL_READY := $(WHEEL)/ready
HOSTS := build/hosts
HOSTS_READY := $(HOSTS)/ready
PEERS := build/peers
PEERS_READY := $(PEERS)/ready
EDM ?= build/edm
EDM_COMMIT := 008a4e5316c8e3bfe61a62f874bddba254295afb

ifeq ($(LIBTORCH),)
  BUILD := build/release
else ifeq ($(LIBTORCH),wheel)
  BUILD := build/wheel-release
  LIBTORCH_FOLDER := $(abspath $(WHEEL))
  LIBTORCH_READY := $(WHEEL_READY)
else
  BUILD := build/libtorch$(subst /,-,$(abspath $(LIBTORCH)))
  LIBTORCH_FOLDER := $(abspath $(LIBTORCH))
endif

.PHONY: all build demo test test-hosts check fast kill-test disk-test mutants bench bench-peers model emoji packages wheel clean

all: $(BUILD)/build.ninja
	cmake --build $(BUILD) -j $(JOBS) --target gas

demo: all
	$(BUILD)/gas demo

# Everything, tests too.
build: $(BUILD)/build.ninja
	cmake --build $(BUILD) -j $(JOBS)

# The suite; `make fast` runs the part that ends within a minute.
test: build
	ctest --test-dir $(BUILD) --output-on-failure -j $(JOBS)

fast: build
	ctest --test-dir $(BUILD) --output-on-failure -j $(JOBS) -L fast

# Solvers in the Python programs where people sample (docs/hosts.md), with their packages in an environment on PyTorch's wheel.
# Networks are so small that a second thread only waits.
test-hosts: all $(HOSTS_READY)
	OMP_NUM_THREADS=1 GAS_PROGRAM=$(abspath $(BUILD))/gas $(HOSTS)/bin/python -m pytest -q -p no:cacheprovider tests/hosts

# Kills and breaks each kind of run at 50 random moments, lets it finish and compares; the suite does so at a few.
kill-test: build
	GAS_KILLS=50 ctest --test-dir $(BUILD) --output-on-failure -R '^resume/' --timeout 14400

# The part of that whose disk is full or broken: 50 failures of each call by which a run uses files, 50 disks too small for it.
disk-test: build
	GAS_KILLS=50 ctest --test-dir $(BUILD) --output-on-failure -R '^resume/disk_test' --timeout 14400

# What a change must pass besides the suite, about 50 minutes on two cores: format, clang-tidy, sanitizers, fuzz targets,
# other processors, PyTorch's wheel. `tools/check.sh STEP...` runs single steps.
check:
	JOBS=$(JOBS) tools/check.sh

# Changes a line at a time and looks whether a test fails (tools/mutants.py): hours. MUTANTS="solver fit" or numbers run a part.
mutants:
	nice -n 19 tools/mutants.py $(MUTANTS)

bench: all
	$(BUILD)/gas bench

# `gas` beside PyTorch, torch.compile, ONNX Runtime and OpenVINO on the same weights: about 40 minutes on two cores that do
# nothing else. It writes its section of docs/benchmarks.md. With build/wheel-release (make LIBTORCH=wheel) both LibTorchs
# are measured. PEERS_OPTIONS=--quick takes a few minutes and writes nothing; EDM=/folder is a checkout of NVlabs/edm.
SERVERS := gas_network_report gas_network_server
bench-peers: $(BUILD)/build.ninja $(PEERS_READY) $(EDM)/training/networks.py
	cmake --build $(BUILD) -j $(JOBS) --target $(SERVERS)
	test ! -d build/wheel-release || cmake --build build/wheel-release -j $(JOBS) --target $(SERVERS)
	$(PEERS)/bin/python tools/bench_peers.py --edm $(EDM) $(PEERS_OPTIONS)

# Trains the embedded models again (models/README.md has the recipe and what it gives). Hours on a CPU.
FASHION := --data-name "Fashion-MNIST (MIT licence)" \
  --class-names "T-shirt,trouser,pullover,dress,coat,sandal,shirt,sneaker,bag,ankle boot"
model: all
	$(BUILD)/gas pretrain $(FASHION) --what classifier --width 24 --images 420000 --batch 128 --lr 3e-3 \
	  --cooldown 0.7 --run runs/classifier --out models/fashion-features.safetensors
	$(BUILD)/gas pretrain $(FASHION) --features fashion-features --run runs/fashion --images 330000 \
	  --out models/fashion.safetensors

# The images of the emoji model, from Debian's packages.
emoji:
	tools/install_packages.sh tools/emoji_packages.txt
	/usr/bin/python3 tools/emoji_folder.py runs/emoji-images

packages:
	tools/install_packages.sh packages.txt

$(BUILD)/build.ninja: CMakeLists.txt CMakePresets.json packages.txt $(LIBTORCH_READY)
	tools/install_packages.sh packages.txt
	cmake --preset release -B $(BUILD) -DGAS_LIBTORCH=$(LIBTORCH_FOLDER)

wheel: $(WHEEL_READY)

$(WHEEL_READY): tools/requirements-wheel.txt packages.txt
	tools/install_packages.sh packages.txt
	python3 -m venv $(WHEEL)
	$(WHEEL)/bin/pip install --quiet --disable-pip-version-check --no-cache-dir -r $<
	touch $@

# Environments that see the wheel's packages and do not install them again: they take 5 GB.
$(HOSTS_READY): hosts/python/requirements.txt
$(PEERS_READY): tools/requirements-peers.txt
$(HOSTS_READY) $(PEERS_READY): $(WHEEL_READY)
	python3 -m venv $(@D)
	ls -d $(abspath $(WHEEL))/lib/python3*/site-packages > $$(ls -d $(@D)/lib/python3*/site-packages)/wheel.pth
	$(@D)/bin/pip install --quiet --disable-pip-version-check --no-cache-dir -r $(filter %.txt,$^)
	touch $@

# The reference's network, which is run and not copied.
build/edm/training/networks.py:
	git clone --quiet https://github.com/NVlabs/edm build/edm
	git -C build/edm checkout --quiet $(EDM_COMMIT)

clean:
	rm -rf build
