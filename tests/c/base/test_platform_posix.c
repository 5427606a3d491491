/* Tests of what platform.c does on POSIX systems alone, or is tested by their means. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/platform.h"
#include "check.h"

static char directory[] = "/tmp/cnn-test-XXXXXX";

/* A path in the test's own directory; the last eight stay valid. */
static const char *in_directory(const char *name)
{
    static char paths[8][128];
    static size_t turn;
    char *path = paths[turn++ % 8];
    (void)snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

/* Run a function in a child process; what it returns, at most 255, or -1. */
static int in_child(int (*run)(void))
{
    (void)fflush(stdout);
    const pid_t child = fork();
    if (child == 0)
        _exit(run());
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
        return -1;
    return WEXITSTATUS(status);
}

/* ---- Processors -------------------------------------------------------------------------- */

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    if (file != NULL) {
        (void)fputs(text, file);
        (void)fclose(file);
    }
}

/* The quota seen from a made-up root; needs the right to chroot. */
static int quota_in_root(void)
{
    if (chroot(directory) != 0 || chdir("/") != 0)
        return 255;
    return (int)cnn_platform_quota();
}

static void make_directories(const char *path)
{
    char part[256];
    const size_t length = strlen(path);
    for (size_t i = strlen(directory); i <= length; i++) {
        if (path[i] == '/' || path[i] == '\0') {
            (void)snprintf(part, sizeof part, "%.*s", (int)i, path);
            (void)mkdir(part, 0777);
        }
    }
}

static void test_quota(void)
{
    if (geteuid() != 0 || in_child(quota_in_root) == 255)
        return;
    make_directories(in_directory("proc/self"));
    make_directories(in_directory("sys/fs/cgroup/a/b"));
    make_directories(in_directory("sys/fs/cgroup/cpu/x"));
    CHECK(in_child(quota_in_root) == 0); /* no /proc/self/cgroup at all */

    write_text(in_directory("proc/self/cgroup"), "0::/a/b\n");
    write_text(in_directory("proc/self/mountinfo"),
               "20 1 0:1 / / rw - ext4 /dev/root rw\n"
               "30 20 0:2 / /sys/fs/cgroup rw,nosuid shared:1 - cgroup2 cgroup2 rw\n");
    CHECK(in_child(quota_in_root) == 0);
    write_text(in_directory("sys/fs/cgroup/a/b/cpu.max"), "max 100000\n");
    CHECK(in_child(quota_in_root) == 0);
    write_text(in_directory("sys/fs/cgroup/a/b/cpu.max"), "650000 100000\n");
    CHECK(in_child(quota_in_root) == 6);
    write_text(in_directory("sys/fs/cgroup/a/cpu.max"), "399999 100000\n");
    CHECK(in_child(quota_in_root) == 3); /* the parent's quota is the smaller one */
    write_text(in_directory("sys/fs/cgroup/cpu.max"), "20000 100000\n");
    CHECK(in_child(quota_in_root) == 1); /* rounded down, but at least 1 */
    write_text(in_directory("sys/fs/cgroup/cpu.max"), "nonsense\n");
    CHECK(in_child(quota_in_root) == 3);

    /* A container that sees its own group as the root of the mount. */
    write_text(in_directory("proc/self/cgroup"), "0::/docker/1234/a\n");
    write_text(in_directory("proc/self/mountinfo"),
               "30 20 0:2 /docker/1234 /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
    CHECK(in_child(quota_in_root) == 3);
    /* One whose group lies outside the mount. */
    write_text(in_directory("proc/self/cgroup"), "0::/../other\n");
    write_text(in_directory("sys/fs/cgroup/cpu.max"), "200000 100000\n");
    CHECK(in_child(quota_in_root) == 2);

    /* Version 1. */
    write_text(in_directory("proc/self/cgroup"),
               "5:cpuset:/\n4:cpuacct,cpu:/x\n1:name=systemd:/\n");
    write_text(in_directory("proc/self/mountinfo"),
               "31 20 0:3 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
               "32 20 0:4 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpuacct,cpu\n");
    write_text(in_directory("sys/fs/cgroup/cpu/x/cpu.cfs_quota_us"), "-1\n");
    write_text(in_directory("sys/fs/cgroup/cpu/x/cpu.cfs_period_us"), "100000\n");
    CHECK(in_child(quota_in_root) == 0);
    write_text(in_directory("sys/fs/cgroup/cpu/x/cpu.cfs_quota_us"), "250000\n");
    CHECK(in_child(quota_in_root) == 2);
    write_text(in_directory("proc/self/mountinfo"), "garbage\n1 2 3 - cgroup\n\n - cgroup x cpu\n");
    CHECK(in_child(quota_in_root) == 0);
}

static void test_processors(void)
{
    const long online = sysconf(_SC_NPROCESSORS_CONF);
    CHECK(cnn_platform_cpus() >= 1);
    CHECK(online < 1 || cnn_platform_cpus() <= (size_t)online);
    (void)cnn_platform_quota();
}

/* ---- Processes and threads --------------------------------------------------------------- */

static uint64_t process_before;

static int process_changes(void)
{
    const uint64_t before = process_before;
    process_before = cnn_platform_process();
    return process_before != before;
}

static int process_changes_twice(void)
{
    return process_changes() && in_child(process_changes);
}

static void test_process(void)
{
    process_before = cnn_platform_process();
    CHECK(!process_changes());
    CHECK(in_child(process_changes_twice) == 1);
    CHECK(!process_changes());
}

static void find_mask(void *argument)
{
    sigset_t mask;
    (void)pthread_sigmask(SIG_SETMASK, NULL, &mask);
    *(int *)argument = sigismember(&mask, SIGINT) == 1 && sigismember(&mask, SIGTERM) == 1 &&
                       sigismember(&mask, SIGPROF) == 1;
}

/* A thread gets no signals, and its creator those that it got before. */
static void test_threads(void)
{
    int blocked = 0;
    sigset_t mask;
    cnn_thread *thread = cnn_platform_thread_start(find_mask, &blocked);
    if (!CHECK(thread != NULL))
        return;
    (void)pthread_sigmask(SIG_SETMASK, NULL, &mask);
    CHECK(sigismember(&mask, SIGINT) == 0);
    cnn_platform_thread_join(thread);
    CHECK(blocked);
}

/* ---- Files ------------------------------------------------------------------------------- */

static int holds(const char *path, const char *text)
{
    void *bytes = NULL;
    size_t size = 0;
    if (cnn_platform_file_read(path, 1000, &bytes, &size) != 0)
        return 0;
    const int same = size == strlen(text) && memcmp(bytes, text, size) == 0;
    cnn_platform_free(bytes);
    return same;
}

static void test_read(void)
{
    void *bytes = NULL;
    size_t size = 0;
    const char *path = in_directory("read"), *pipe = in_directory("pipe");
    CHECK(cnn_platform_file_read(in_directory("none"), 10, &bytes, &size) == ENOENT);
    CHECK(cnn_platform_file_read(directory, 10, &bytes, &size) == EISDIR);
    CHECK(cnn_platform_file_read("/dev/null", 10, &bytes, &size) == EINVAL);
    CHECK(mkfifo(pipe, 0600) == 0 && cnn_platform_file_read(pipe, 10, &bytes, &size) == EINVAL);
    (void)unlink(pipe);
    write_text(path, "");
    CHECK(holds(path, ""));
    write_text(path, "some text");
    CHECK(holds(path, "some text"));
    CHECK(cnn_platform_file_read(path, 9, &bytes, &size) == 0 && size == 9);
    cnn_platform_free(bytes);
    CHECK(cnn_platform_file_read(path, 8, &bytes, &size) == EFBIG);
    /* /proc tells a size of 0, and the content is longer than a first guess. */
    const int error = cnn_platform_file_read("/proc/self/smaps", 1 << 24, &bytes, &size);
    CHECK(error == ENOENT || (error == 0 && size > 4096));
    if (error == 0)
        cnn_platform_free(bytes);
    CHECK(error == ENOENT ||
          cnn_platform_file_read("/proc/self/smaps", 10, &bytes, &size) == EFBIG);
}

static mode_t mode_of(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 ? status.st_mode & 0777 : 0;
}

static void test_replace(void)
{
    const char *path = in_directory("file"), *link = in_directory("link");
    const mode_t mask = umask(027);
    CHECK(cnn_platform_file_replace(path, "one", 3) == 0 && holds(path, "one"));
    CHECK(mode_of(path) == 0640);
    CHECK(chmod(path, 0604) == 0);
    CHECK(cnn_platform_file_replace(path, "second", 6) == 0 && holds(path, "second"));
    CHECK(mode_of(path) == 0604);
    CHECK(chmod(path, 0666) == 0); /* more than the umask would leave */
    CHECK(cnn_platform_file_replace(path, "", 0) == 0 && holds(path, ""));
    CHECK(mode_of(path) == 0666);
    (void)umask(mask);

    /* Through a link, a link to that link, and a link to nothing yet. */
    struct stat status;
    const char *again = in_directory("again"), *dangling = in_directory("dangling");
    CHECK(symlink("file", link) == 0 && symlink(link, again) == 0);
    CHECK(cnn_platform_file_replace(again, "through", 7) == 0 && holds(path, "through"));
    CHECK(lstat(link, &status) == 0 && S_ISLNK(status.st_mode));
    CHECK(lstat(again, &status) == 0 && S_ISLNK(status.st_mode));
    CHECK(symlink("new", dangling) == 0);
    CHECK(cnn_platform_file_replace(dangling, "new", 3) == 0 && holds(in_directory("new"), "new"));
    const char *loop = in_directory("loop");
    CHECK(symlink("loop", loop) == 0 && cnn_platform_file_replace(loop, "x", 1) == ELOOP);

    CHECK(cnn_platform_file_replace(directory, "x", 1) == EISDIR);
    CHECK(cnn_platform_file_replace("/dev/null", "x", 1) == EINVAL);
    CHECK(cnn_platform_file_replace(in_directory("none/file"), "x", 1) == ENOENT);
    CHECK(cnn_platform_file_replace(in_directory("file/below"), "x", 1) == ENOTDIR);
    CHECK(cnn_platform_file_replace("", "x", 1) == ENOENT);
    if (geteuid() != 0) {
        CHECK(chmod(path, 0444) == 0 && cnn_platform_file_replace(path, "x", 1) == EACCES);
        CHECK(holds(path, "through") && chmod(path, 0644) == 0);
    }
}

/* A relative path, and a file larger than one write. */
static int replace_in_directory(void)
{
    static char large[3 << 20];
    void *bytes;
    size_t size;
    memset(large, 'x', sizeof large);
    if (chdir(directory) != 0 || cnn_platform_file_replace("large", large, sizeof large) != 0 ||
        cnn_platform_file_read("large", sizeof large, &bytes, &size) != 0)
        return 1;
    const int same = size == sizeof large && memcmp(bytes, large, size) == 0;
    cnn_platform_free(bytes);
    return !same;
}

/* The system refuses to write so much: the target keeps what it had. */
static int replace_beyond_limit(void)
{
    static char large[1 << 16];
    const char *path = in_directory("file");
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    const struct rlimit limit = {1000, 1000};
    if (sigaction(SIGXFSZ, &ignore, NULL) != 0 || setrlimit(RLIMIT_FSIZE, &limit) != 0)
        return 1;
    return cnn_platform_file_replace(path, large, sizeof large) != EFBIG || !holds(path, "through");
}

static void test_failed_replace(void)
{
    CHECK(in_child(replace_in_directory) == 0);
    CHECK(in_child(replace_beyond_limit) == 0);
}

/* Remove the test's directory and what is in it; no temporary file may be left there. */
static void remove_directory(void)
{
    char command[200];
    (void)snprintf(command, sizeof command, "test -z \"$(find %s -name '.cnn-*')\"", directory);
    CHECK(system(command) == 0);
    (void)snprintf(command, sizeof command, "rm -rf %s", directory);
    CHECK(system(command) == 0);
}

int main(void)
{
    if (!CHECK(mkdtemp(directory) != NULL))
        return check_finish();
    test_processors();
    test_process();
    test_threads();
    test_read();
    test_replace();
    test_failed_replace();
    test_quota();
    remove_directory();
    return check_finish();
}
