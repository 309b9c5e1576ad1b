// Ctrl-C as a request that a long step may answer with its best result so far.
#ifndef GAS_CORE_INTERRUPT_H_
#define GAS_CORE_INTERRUPT_H_

namespace gas {

// While one exists the first SIGINT only sets a flag; the second ends the program as usual. One at a time.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  bool Requested() const;

 private:
  void (*before_)(int);
};

}  // namespace gas

#endif  // GAS_CORE_INTERRUPT_H_
