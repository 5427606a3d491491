/*
 * Functions of glibc by versions that glibc 2.28 has, for wheels that are linked with a newer one:
 * a part of platform.c. glibc 2.32 to 2.34 gave these functions new versions when it moved them
 * from libpthread to libc, or in the case of fstat and lstat from its headers, and changed nothing
 * else. CMakeLists.txt defines CNN_GLIBC_2_28 if glibc is newer and the machine is one of those
 * below.
 */

#if defined(__x86_64__)
#define FIRST_GLIBC "GLIBC_2.2.5"
enum { STAT_VERSION = 1 };
#elif defined(__aarch64__)
#define FIRST_GLIBC "GLIBC_2.17"
enum { STAT_VERSION = 0 };
#else
#error "CNN_GLIBC_2_28 is for x86-64 and aarch64"
#endif

/* Bind the calls of a function in this file to its first version. */
#define CNN_FIRST_VERSION(name) __asm__(".symver " #name ", " #name "@" FIRST_GLIBC)

CNN_FIRST_VERSION(pthread_create);
CNN_FIRST_VERSION(pthread_join);
CNN_FIRST_VERSION(pthread_key_create);
CNN_FIRST_VERSION(pthread_once);
CNN_FIRST_VERSION(pthread_setspecific);
CNN_FIRST_VERSION(pthread_sigmask);

/* What fstat and lstat of older headers called. */
int __fxstat(int version, int file, struct stat *status);
int __lxstat(int version, const char *path, struct stat *status);
CNN_FIRST_VERSION(__fxstat);
CNN_FIRST_VERSION(__lxstat);

#define fstat(file, status) __fxstat(STAT_VERSION, file, status)
#define lstat(path, status) __lxstat(STAT_VERSION, path, status)
