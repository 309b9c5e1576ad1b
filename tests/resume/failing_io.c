// Preloaded into a program: the n-th call by which it changes or reads a file fails, as GAS_FAIL says.
//
//   GAS_FAIL="CALL ERRNO FROM [LAST]"   write, fsync, rename, link or ftruncate, or any of these, or read; of
//                                       those that it makes, numbers FROM to LAST (default: FROM) fail with
//                                       ERRNO
//
// Writes count if they go to a regular file, reads if it lies on the file system of the working folder: what
// the system says of itself in /proc and /sys is not on a disk.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>

static int Fails(const char* call) {
  static atomic_long made;
  const char* text = getenv("GAS_FAIL");
  char which[16];
  int error;
  long from, last;
  const int given = text == NULL ? 0 : sscanf(text, "%15s %d %ld %ld", which, &error, &from, &last);
  if (given < 3) return 0;
  const int any = strcmp(which, "any") == 0 && strcmp(call, "read") != 0;
  if (!any && strcmp(which, call) != 0) return 0;
  if (given < 4) last = from;
  const long number = atomic_fetch_add(&made, 1) + 1;
  if (number < from || number > last) return 0;
  errno = error;
  return 1;
}

static int IsFile(int fd) {
  struct stat info;
  return fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
}

static int IsOnDiskHere(int fd) {
  struct stat file, here;
  return fstat(fd, &file) == 0 && S_ISREG(file.st_mode) && stat(".", &here) == 0 &&
         file.st_dev == here.st_dev;
}

ssize_t read(int fd, void* bytes, size_t count) {
  ssize_t (*real)(int, void*, size_t) = (ssize_t(*)(int, void*, size_t))dlsym(RTLD_NEXT, "read");
  return IsOnDiskHere(fd) && Fails("read") ? -1 : real(fd, bytes, count);
}

ssize_t write(int fd, const void* bytes, size_t count) {
  ssize_t (*real)(int, const void*, size_t) = (ssize_t(*)(int, const void*, size_t))dlsym(RTLD_NEXT, "write");
  return IsFile(fd) && Fails("write") ? -1 : real(fd, bytes, count);
}

int fsync(int fd) {
  int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
  return Fails("fsync") ? -1 : real(fd);
}

int ftruncate(int fd, off_t length) {
  int (*real)(int, off_t) = (int (*)(int, off_t))dlsym(RTLD_NEXT, "ftruncate");
  return Fails("ftruncate") ? -1 : real(fd, length);
}

int rename(const char* from, const char* to) {
  int (*real)(const char*, const char*) = (int (*)(const char*, const char*))dlsym(RTLD_NEXT, "rename");
  return Fails("rename") ? -1 : real(from, to);
}

int link(const char* from, const char* to) {
  int (*real)(const char*, const char*) = (int (*)(const char*, const char*))dlsym(RTLD_NEXT, "link");
  return Fails("link") ? -1 : real(from, to);
}
