/* Makes one touch of the file system fail, counted from when it was armed: for scripts/bench faults.
 * cc -shared -fPIC -O1 -o failpoint.so failpoint.c -ldl; LD_PRELOAD=failpoint.so
 * SQLite's own tests do the same through a file system of their own. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static long left = -1, touched;
static int failure, lasting, shorten, exempt = -1;

/* nth: 1 is the next touch; 0 only counts. error: errno, or 0 to shorten a write. */
void failpoint_arm(long nth, int error, int stays, int exempt_fd) {
    touched = 0;
    failure = error;
    lasting = stays;
    shorten = error == 0;
    exempt = exempt_fd;
    left = nth ? nth : 1L << 60;
}

long failpoint_disarm(void) {
    left = -1;
    return touched;
}

static int fails(void) {
    if (left < 0) return 0;
    touched++;
    if (left > 1) { left--; return 0; }
    if (left == 1 || lasting) { left = 0; return 1; }
    return 0;
}

#define REAL(name, type, ...) ((type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name))
#define FAIL if (fails()) { if (!shorten) { errno = failure; return -1; } }

ssize_t write(int fd, const void *data, size_t size) {
    ssize_t (*real)(int, const void *, size_t) = REAL("write", ssize_t, int, const void *, size_t);
    if (fd != exempt && fd > 2 && fails()) {
        if (!shorten) { errno = failure; return -1; }
        size = size > 1 ? size / 2 : size;
    }
    return real(fd, data, size);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    ssize_t (*real)(int, const void *, size_t, off64_t) =
        REAL("pwrite64", ssize_t, int, const void *, size_t, off64_t);
    if (fails()) {
        if (!shorten) { errno = failure; return -1; }
        size = size > 1 ? size / 2 : size;
    }
    return real(fd, data, size, at);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) { return pwrite64(fd, data, size, at); }

#define ONE(name, type, arg) int name(type arg) { FAIL return REAL(#name, int, type)(arg); }
ONE(fsync, int, fd)
ONE(fdatasync, int, fd)
ONE(unlink, const char *, path)
ONE(rmdir, const char *, path)

int rename(const char *from, const char *to) {
    FAIL return REAL("rename", int, const char *, const char *)(from, to);
}
int unlinkat(int folder, const char *path, int flags) {
    FAIL return REAL("unlinkat", int, int, const char *, int)(folder, path, flags);
}
int mkdir(const char *path, mode_t mode) {
    FAIL return REAL("mkdir", int, const char *, mode_t)(path, mode);
}
int ftruncate64(int fd, off64_t size) {
    FAIL return REAL("ftruncate64", int, int, off64_t)(fd, size);
}
int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

static int opened(const char *name, const char *path, int flags, mode_t mode) {
    if (flags & (O_CREAT | O_WRONLY | O_RDWR)) { FAIL }
    return REAL(name, int, const char *, int, ...)(path, flags, mode);
}
int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return opened("open64", path, flags, mode);
}
int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return opened("open", path, flags, mode);
}
