// Whether a sanitizer with a runtime of its own is compiled in.
#ifndef GAS_CORE_SANITIZERS_H_
#define GAS_CORE_SANITIZERS_H_

// GAS_SANITIZED: the address or the thread sanitizer's, which have other allocators and start before all
// else. GCC defines macros for them, clang asks for features.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define GAS_SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define GAS_SANITIZED
#endif
#endif

#endif  // GAS_CORE_SANITIZERS_H_
