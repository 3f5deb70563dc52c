/* Lets the n-th call that changes files below a folder fail, for whoever loads this before the C library.
 *
 * Counted are writes, syncs, renames, links, removals and the making of files and folders, by Python, DuckDB and the
 * Delta library alike. `calls_fail` says below which folder, which call, with which errno, and whether all later ones
 * fail too (a disk that stays full); `calls_passed` says how many there were. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static char below[PATH_MAX];
static size_t below_length;
static long fails_at, passed;
static int fails_with, fails_onwards;

void calls_fail(const char *folder, long at, int with, int onwards) {
    below_length = 0;
    strncpy(below, folder, sizeof below - 1);
    passed = 0, fails_at = at, fails_with = with, fails_onwards = onwards;
    below_length = strlen(below);
}

long calls_passed(void) { return passed; }

static int fails(void) {
    long now = __atomic_add_fetch(&passed, 1, __ATOMIC_SEQ_CST);
    if (!fails_at || now < fails_at || (now > fails_at && !fails_onwards)) return 0;
    errno = fails_with;
    return 1;
}

static int is_below(const char *path) { return below_length && !strncmp(path, below, below_length); }

static int file_fails(int file) {
    char link[64], path[PATH_MAX];
    if (!below_length) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return is_below(path) && fails();
}

static int path_fails(int folder, const char *path) {
    if (!below_length) return 0;
    if (path[0] != '/' && folder != AT_FDCWD) return file_fails(folder);
    return is_below(path) && fails();
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define INSTEAD(result, name, words, call, test) \
    result name words { return (test) ? -1 : NEXT(name) call; }

INSTEAD(ssize_t, write, (int f, const void *b, size_t n), (f, b, n), file_fails(f))
INSTEAD(ssize_t, pwrite, (int f, const void *b, size_t n, off_t o), (f, b, n, o), file_fails(f))
INSTEAD(ssize_t, pwrite64, (int f, const void *b, size_t n, off64_t o), (f, b, n, o), file_fails(f))
INSTEAD(ssize_t, writev, (int f, const struct iovec *v, int n), (f, v, n), file_fails(f))
INSTEAD(ssize_t, copy_file_range, (int a, off64_t *x, int f, off64_t *y, size_t n, unsigned g), (a, x, f, y, n, g),
        file_fails(f))
INSTEAD(int, fsync, (int f), (f), file_fails(f))
INSTEAD(int, fdatasync, (int f), (f), file_fails(f))
INSTEAD(int, ftruncate, (int f, off_t n), (f, n), file_fails(f))
INSTEAD(int, ftruncate64, (int f, off64_t n), (f, n), file_fails(f))
INSTEAD(int, rename, (const char *a, const char *b), (a, b), path_fails(AT_FDCWD, b))
INSTEAD(int, renameat, (int x, const char *a, int y, const char *b), (x, a, y, b), path_fails(y, b))
INSTEAD(int, renameat2, (int x, const char *a, int y, const char *b, unsigned g), (x, a, y, b, g), path_fails(y, b))
INSTEAD(int, link, (const char *a, const char *b), (a, b), path_fails(AT_FDCWD, b))
INSTEAD(int, linkat, (int x, const char *a, int y, const char *b, int g), (x, a, y, b, g), path_fails(y, b))
INSTEAD(int, unlink, (const char *a), (a), path_fails(AT_FDCWD, a))
INSTEAD(int, unlinkat, (int x, const char *a, int g), (x, a, g), path_fails(x, a))
INSTEAD(int, mkdir, (const char *a, mode_t m), (a, m), path_fails(AT_FDCWD, a))

#define OPENS(name) \
    int name(const char *path, int flags, ...) { \
        mode_t mode = 0; \
        if (flags & (O_CREAT | O_TMPFILE)) { \
            va_list rest; \
            va_start(rest, flags); \
            mode = va_arg(rest, mode_t); \
            va_end(rest); \
        } \
        return (flags & O_CREAT) && path_fails(AT_FDCWD, path) ? -1 : NEXT(name)(path, flags, mode); \
    }
OPENS(open)
OPENS(open64)
