#include "support/fake_device.h"

#include <atomic>
#include <cstdlib>
#include <iostream>
#include <set>

#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <c10/util/Backtrace.h>
#include <torch/library.h>

// A device type that this LibTorch has room for and no kernels of, and to which it can move modules.
#if TORCH_VERSION_MAJOR >= 2
#define GAS_FAKE_DEVICE HPU
#else
#define GAS_FAKE_DEVICE XPU
#endif

namespace gas::testing {
namespace {

using c10::DispatchKey;
using c10::DispatchKeySet;
using c10::IValue;
using Stack = torch::jit::Stack;

constexpr torch::DeviceType kType = torch::DeviceType::GAS_FAKE_DEVICE;
constexpr DispatchKey kKey = DispatchKey::GAS_FAKE_DEVICE;
const torch::Device kDevice(kType, 0);

// Counts

std::atomic<int64_t> reads = 0, downloads = 0, uploads = 0;

void Count(std::atomic<int64_t>& kind, const char* name, const std::string& what) {
  ++kind;
  static const bool trace = std::getenv("GAS_FAKE_DEVICE_TRACE") != nullptr;
  if (trace)
    std::cerr << "fake device: " << name << ": " << what << "\n" << c10::get_backtrace(0, 40) << "\n";
}

// Memory: addresses of the device have a bit set that no address of a program has.

constexpr uintptr_t kDeviceBit = uintptr_t{1} << 62;

void* DeviceAddress(const void* host) {
  if (host == nullptr) return nullptr;
  const auto bits = reinterpret_cast<uintptr_t>(host) | kDeviceBit;
  return reinterpret_cast<void*>(bits);  // NOLINT(performance-no-int-to-ptr): the point of this function
}

void* HostAddress(const void* device) {
  const auto bits = reinterpret_cast<uintptr_t>(device) & ~kDeviceBit;
  return reinterpret_cast<void*>(bits);  // NOLINT(performance-no-int-to-ptr): the point of this function
}

// A tensor over `storage` that is laid out like `like`.
Tensor LaidOutLike(const Tensor& like, c10::Storage storage, DispatchKey key) {
  Tensor tensor =
      at::detail::make_tensor<c10::TensorImpl>(std::move(storage), DispatchKeySet(key), like.dtype());
  c10::TensorImpl* impl = tensor.unsafeGetTensorImpl();
  impl->set_storage_offset(like.storage_offset());
  impl->set_sizes_and_strides(like.sizes(), like.strides());
  return tensor;
}

// The memory of a tensor of the CPU as the device's, which keeps it.
c10::DataPtr DeviceMemory(const Tensor& host) {
  const auto release = [](void* kept) { delete static_cast<Tensor*>(kept); };
  return c10::DataPtr(DeviceAddress(host.storage().data()), new Tensor(host), release, kDevice);
}

// A tensor of the device that takes the memory of one of the CPU's.
Tensor OnDevice(const Tensor& host) {
  return LaidOutLike(host,
                     c10::Storage(c10::Storage::use_byte_size_t(), host.storage().nbytes(),
                                  DeviceMemory(host), /*allocator=*/nullptr, /*resizable=*/false),
                     kKey);
}

bool IsFake(const torch::Device& device) { return device.type() == kType; }
bool IsFake(const Tensor& tensor) { return tensor.defined() && IsFake(tensor.device()); }

// A storage of the CPU over the memory of a tensor of the device.
c10::Storage OnHost(const Tensor& fake) {
  c10::DataPtr data(HostAddress(fake.storage().data()), torch::kCPU);
  return c10::Storage(c10::Storage::use_byte_size_t(), fake.storage().nbytes(), std::move(data),
                      c10::GetCPUAllocator(), /*resizable=*/true);
}

// Kernels

// "aten::add_.Tensor" -> "add".
std::string BaseName(const c10::OperatorHandle& op) {
  std::string name = op.operator_name().name;
  name.erase(0, name.rfind(':') + 1);
  while (!name.empty() && name.back() == '_') name.pop_back();
  return name;
}

// Elementwise arithmetic and comparison: CUDA's kernels take a scalar tensor of the CPU as a number.
bool TakesHostScalars(const std::string& name) {
  static const std::set<std::string> names = {
      "add",         "sub",         "rsub",        "mul",        "div",         "pow",   "maximum",
      "minimum",     "fmax",        "fmin",        "fmod",       "remainder",   "atan2", "hypot",
      "eq",          "ne",          "lt",          "le",         "gt",          "ge",    "logical_and",
      "logical_or",  "logical_xor", "bitwise_and", "bitwise_or", "bitwise_xor", "fill",  "masked_fill",
      "true_divide", "logaddexp",   "floor_divide"};
  return names.count(name) > 0;
}

// The shape of the result depends on values, so the host has to know them.
bool HasShapeOfValues(const std::string& name) {
  static const std::set<std::string> names = {"nonzero",  "masked_select",     "_unique2", "unique_dim",
                                              "bincount", "repeat_interleave", "histc"};
  return names.count(name) > 0;
}

// One call of an operator: its arguments are replaced by tensors of the CPU over the same memory, its results
// by tensors of the device.
class Call {
 public:
  Call(const c10::OperatorHandle& op, Stack& stack) : op_(op), stack_(stack), name_(BaseName(op)) {}

  void Run() {
    const size_t count = op_.schema().arguments().size();
    for (size_t i = stack_.size() - count; i < stack_.size(); ++i) stack_[i] = Argument(stack_[i]);
    TORCH_CHECK(stray_.empty() || !has_fake_, "fake device: ", op_.operator_name(), " was given ", stray_);
    if (has_fake_ && HasShapeOfValues(name_)) Count(reads, "read", name_);
    op_.redispatchBoxed(DispatchKeySet(DispatchKey::CPU), &stack_);
    if (!has_fake_ && !wants_fake_) return;
    const size_t results = op_.schema().returns().size();
    for (size_t i = stack_.size() - results; i < stack_.size(); ++i) stack_[i] = Result(stack_[i]);
  }

 private:
  struct Replaced {
    Tensor fake, host;
  };

  IValue Argument(const IValue& value) {
    if (value.isTensor()) return HostOf(value.toTensor());
    if (value.isTensorList()) {
      c10::List<Tensor> list;
      for (const Tensor& tensor : value.toTensorVector()) list.push_back(HostOf(tensor));
      return list;
    }
    if (value.isOptionalTensorList()) {
      auto list = value.toOptionalTensorList().copy();
      for (size_t i = 0; i < list.size(); ++i) {
        const auto tensor = list.get(i);
        if (tensor) list.set(i, HostOf(*tensor));
      }
      return list;
    }
    if (value.isDevice() && IsFake(value.toDevice())) {
      wants_fake_ = true;
      return torch::Device(torch::kCPU);
    }
    return value;
  }

  Tensor HostOf(const Tensor& tensor) {
    if (!tensor.defined()) return tensor;
    if (!IsFake(tensor)) {
      if (tensor.dim() > 0 || !TakesHostScalars(name_)) {
        stray_ += "a tensor " + c10::str(tensor.sizes()) + " on " + tensor.device().str() + "; ";
      }
      return tensor;
    }
    has_fake_ = true;
    const c10::StorageImpl* storage = tensor.storage().unsafeGetStorageImpl();
    for (const Replaced& known : replaced_) {
      // Views of one memory stay views of one memory.
      if (known.fake.storage().unsafeGetStorageImpl() != storage) continue;
      replaced_.push_back({tensor, LaidOutLike(tensor, known.host.storage(), DispatchKey::CPU)});
      return replaced_.back().host;
    }
    replaced_.push_back({tensor, LaidOutLike(tensor, OnHost(tensor), DispatchKey::CPU)});
    return replaced_.back().host;
  }

  IValue Result(const IValue& value) {
    if (value.isTensor()) return FakeOf(value.toTensor());
    if (value.isTensorList()) {
      c10::List<Tensor> list;
      for (const Tensor& tensor : value.toTensorVector()) list.push_back(FakeOf(tensor));
      return list;
    }
    Count(reads, "read", name_);
    return value;
  }

  Tensor FakeOf(const Tensor& host) const {
    if (!host.defined()) return host;
    for (const Replaced& known : replaced_) {
      if (host.is_same(known.host)) return Written(known);
    }
    for (const Replaced& known : replaced_) {
      if (host.storage().unsafeGetStorageImpl() == known.host.storage().unsafeGetStorageImpl()) {
        return LaidOutLike(host, known.fake.storage(), kKey);  // a view
      }
    }
    return OnDevice(host);
  }

  // An argument that was written in place, and may have got another size.
  static Tensor Written(const Replaced& argument) {
    const Tensor& host = argument.host;
    const c10::Storage& memory = argument.fake.storage();
    if (DeviceAddress(host.storage().data()) != memory.data()) {
      memory.unsafeGetStorageImpl()->set_data_ptr(DeviceMemory(host));
      memory.unsafeGetStorageImpl()->set_nbytes(host.storage().nbytes());
    }
    if (host.sizes() != argument.fake.sizes() || host.strides() != argument.fake.strides()) {
      argument.fake.unsafeGetTensorImpl()->set_sizes_and_strides(host.sizes(), host.strides());
    }
    return argument.fake;
  }

  const c10::OperatorHandle& op_;
  Stack& stack_;
  std::string name_;
  std::vector<Replaced> replaced_;
  bool has_fake_ = false, wants_fake_ = false;
  std::string stray_;  // tensors that are elsewhere
};

void Fallback(const c10::OperatorHandle& op, Stack* stack) { Call(op, *stack).Run(); }

c10::OperatorHandle Operator(const char* name) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "");
}

// For devices that it does not know LibTorch calls other operators, with the arguments of `convolution`...
void Convolution(const c10::OperatorHandle&, Stack* stack) {
  Call(Operator("aten::convolution"), *stack).Run();
}

// ... and of `convolution_backward` but for the sizes of the bias, which come fourth.
void ConvolutionBackward(const c10::OperatorHandle& op, Stack* stack) {
  const auto arguments = stack->end() - static_cast<std::ptrdiff_t>(op.schema().arguments().size());
  const Tensor weight = arguments[2].toTensor();
  const bool transposed = arguments[6].toBool();
  const int64_t outputs = transposed ? weight.size(1) * arguments[8].toInt() : weight.size(0);
  stack->insert(arguments + 3, IValue(std::vector<int64_t>{outputs}));
  Call(Operator("aten::convolution_backward"), *stack).Run();
}

Tensor CopyFrom(const Tensor& from, const Tensor& to, bool non_blocking) {
  const auto host = [](const Tensor& tensor) {
    return IsFake(tensor) ? LaidOutLike(tensor, OnHost(tensor), DispatchKey::CPU) : tensor;
  };
  if (!IsFake(to)) Count(downloads, "download", c10::str(from.sizes()));
  if (!IsFake(from) && !non_blocking) Count(uploads, "upload", c10::str(from.sizes()));
  host(to).copy_(host(from));
  return to;
}

TORCH_LIBRARY_IMPL(_, GAS_FAKE_DEVICE, library) {
  library.fallback(torch::CppFunction::makeFromBoxedFunction<&Fallback>());
}

TORCH_LIBRARY_IMPL(aten, GAS_FAKE_DEVICE, library) {
  library.impl("convolution_overrideable", torch::CppFunction::makeFromBoxedFunction<&Convolution>());
  library.impl("convolution_backward_overrideable",
               torch::CppFunction::makeFromBoxedFunction<&ConvolutionBackward>());
  library.impl("_copy_from", &CopyFrom);
}

// One device, one stream; nothing to switch.
template <torch::DeviceType Type>
struct Guard final : c10::impl::DeviceGuardImplInterface {
  static c10::Device Only() { return c10::Device(Type, 0); }
  c10::DeviceType type() const override { return Type; }
  c10::Device exchangeDevice(c10::Device) const override { return Only(); }
  c10::Device getDevice() const override { return Only(); }
  void setDevice(c10::Device) const override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}
  c10::Stream getStream(c10::Device) const noexcept override {
    return c10::Stream(c10::Stream::DEFAULT, Only());
  }
  c10::Stream exchangeStream(c10::Stream) const noexcept override {
    return c10::Stream(c10::Stream::DEFAULT, Only());
  }
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
#if TORCH_VERSION_MAJOR >= 2
  // Everything is done when it is asked for, so an event has always happened.
  void record(void**, const c10::Stream&, const c10::DeviceIndex, const c10::EventFlag) const override {}
  void block(void*, const c10::Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
  void destroyEvent(void*, const c10::DeviceIndex) const noexcept override {}
#endif
};

C10_REGISTER_GUARD_IMPL(GAS_FAKE_DEVICE, Guard<kType>);

}  // namespace

torch::Device FakeDevice() { return kDevice; }

WaitCounter::WaitCounter() : before_{reads, downloads, uploads} {}

HostWaits WaitCounter::waits() const {
  return {reads - before_.reads, downloads - before_.downloads, uploads - before_.uploads};
}

}  // namespace gas::testing
