/* Files on Linux, macOS and other POSIX systems: a part of platform.c that is compiled there. */

static int open_file(const char *path, system_file *file, uint64_t *size)
{
    /* O_NONBLOCK, so that opening a pipe returns and can be refused. */
    const int opened = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (opened < 0)
        return errno;
    struct stat status;
    int error = 0;
    if (fstat(opened, &status) != 0)
        error = errno;
    else if (S_ISDIR(status.st_mode))
        error = EISDIR;
    else if (!S_ISREG(status.st_mode))
        error = EINVAL;
    if (error != 0) {
        close_file(opened);
        return error;
    }
    *file = opened;
    *size = status.st_size > 0 ? (uint64_t)status.st_size : 0;
    return 0;
}

static int read_some(system_file file, uint64_t offset, void *to, size_t size, size_t *got)
{
    ssize_t count;
    do
        count = pread(file, to, size < TRANSFER ? size : TRANSFER, (off_t)offset);
    while (count < 0 && errno == EINTR);
    *got = count > 0 ? (size_t)count : 0;
    return count < 0 ? errno : 0;
}

static void close_file(system_file file)
{
    (void)close(file);
}

static int write_all(int file, const unsigned char *bytes, size_t size)
{
    while (size > 0) {
        const ssize_t count = write(file, bytes, size < TRANSFER ? size : TRANSFER);
        if (count > 0) {
            bytes += count;
            size -= (size_t)count;
        } else if (count == 0) {
            return EIO;
        } else if (errno != EINTR) {
            return errno;
        }
    }
    return 0;
}

static int sync_file(int file)
{
#if defined(__APPLE__)
    if (fcntl(file, F_FULLFSYNC) == 0) /* fsync alone leaves the data in the drive's cache */
        return 0;
#endif
    int result;
    do
        result = fsync(file);
    while (result != 0 && errno == EINTR);
    /* These errors mean that the file system cannot sync. */
    return result == 0 || errno == EINVAL || errno == ENOSYS || errno == ENOTSUP ? 0 : errno;
}

/*
 * Follow symbolic links in the last component of a path. *target is the file's path, which the
 * caller frees. The file need not exist; then status->st_mode is 0. Returns 0 or an errno.
 */
static int follow_links(const char *path, char **target, struct stat *status)
{
    char link[PATH_MAX];
    if (path[0] == '\0')
        return ENOENT;
    char *at = path_in("", 0, path);
    int error = at != NULL ? 0 : ENOMEM;
    for (int depth = 0; error == 0; depth++) {
        if (lstat(at, status) != 0) {
            status->st_mode = 0;
            error = errno == ENOENT ? 0 : errno;
            break;
        }
        if (!S_ISLNK(status->st_mode))
            break;
        const ssize_t length = readlink(at, link, sizeof link - 1);
        if (length < 0 || depth == 40) {
            error = length < 0 ? errno : ELOOP;
            break;
        }
        link[length] = '\0';
        char *next = path_in(at, link[0] == '/' ? 0 : directory_length(at), link);
        error = next != NULL ? 0 : ENOMEM;
        free(at);
        at = next;
    }
    if (error != 0)
        free(at);
    else
        *target = at;
    return error;
}

/*
 * Lock a temporary file. A process that writes one holds a lock on it, which the system releases
 * when the process ends for any reason. So a file that can be locked is stale. On a file system
 * without locks, files are written without, and none counts as stale.
 */
static bool lock_file(int file)
{
    return flock(file, LOCK_EX | LOCK_NB) == 0;
}

/* Remove the stale temporary files of a target, which killed processes have left. */
static void remove_stale(const char *target)
{
    char prefix[TEMPORARY_PREFIX + 1];
    const size_t length = directory_length(target);
    char *folder = length > 0 ? path_in(target, length, "") : path_in("", 0, ".");
    DIR *directory = folder != NULL ? opendir(folder) : NULL;
    temporary_prefix(prefix, target);
    for (const struct dirent *entry = directory != NULL ? readdir(directory) : NULL; entry != NULL;
         entry = readdir(directory)) {
        struct stat status;
        if (!is_temporary(entry->d_name, prefix))
            continue;
        const int file =
            openat(dirfd(directory), entry->d_name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (file < 0)
            continue;
        if (fstat(file, &status) == 0 && S_ISREG(status.st_mode) && lock_file(file))
            (void)unlinkat(dirfd(directory), entry->d_name, 0);
        close_file(file);
    }
    if (directory != NULL)
        (void)closedir(directory);
    free(folder);
}

/*
 * Create a new file beside `target`, with no more than the permissions in `mode`, and lock it.
 * Before it is locked, another process that saves may remove it as stale; then it is created again.
 */
static int create_beside(const char *target, mode_t mode, char **name, int *file)
{
    for (int attempt = 0; attempt < 100; attempt++) {
        char last[TEMPORARY_NAME + 1];
        struct stat status;
        temporary_name(last, target, (uint64_t)getpid());
        *name = path_in(target, directory_length(target), last);
        if (*name == NULL)
            return ENOMEM;
        *file = open(*name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
        int error = *file >= 0 ? 0 : errno;
        if (error == 0) {
            const bool held = !lock_file(*file) && errno == EWOULDBLOCK;
            if (!held && (fstat(*file, &status) != 0 || status.st_nlink > 0))
                return 0;
            close_file(*file);
            error = EEXIST;
        }
        free(*name);
        if (error != EEXIST)
            return error;
    }
    return EEXIST;
}

/* Write a new file and close it. `mode` is that of the file it will replace, or 0. */
static int fill_file(int file, mode_t mode, const void *bytes, size_t size)
{
    struct stat status;
    int error = write_all(file, bytes, size);
    /* Set only if it differs: file systems without modes refuse to set one. */
    if (error == 0 && mode != 0 && fstat(file, &status) == 0 && (status.st_mode & 0777) != mode)
        error = fchmod(file, mode) == 0 ? 0 : errno;
    if (error == 0)
        error = sync_file(file);
    /* Network file systems may report a failed write only here. */
    if (close(file) != 0 && error == 0 && errno != EINTR)
        error = errno;
    return error;
}

/* Make a rename durable. The new file is in place even if this fails, so errors are ignored. */
static void sync_directory(const char *path)
{
    const size_t length = directory_length(path);
    char *directory = length > 0 ? path_in(path, length, "") : path_in("", 0, ".");
    const int file = directory != NULL ? open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (file >= 0) {
        (void)sync_file(file);
        close_file(file);
    }
    free(directory);
}

/*
 * Write a new file and move it over the target, which has this mode if it exists. Returns 0 or an
 * errno: EAGAIN if the new file was removed before it was moved.
 */
static int replace_with(const char *target, bool exists, mode_t mode, const void *bytes,
                        size_t size)
{
    char *temporary;
    int file = -1, error = create_beside(target, exists ? mode : 0666, &temporary, &file);
    if (error != 0)
        return error;
    /* Keeps the lock after the file is closed, until the rename. */
    const int lock = fcntl(file, F_DUPFD_CLOEXEC, 0);
    error = fill_file(file, mode, bytes, size);
    if (error == 0 && rename(temporary, target) != 0)
        error = errno == ENOENT && access(temporary, F_OK) != 0 ? EAGAIN : errno;
    if (error == 0)
        sync_directory(target);
    else
        (void)unlink(temporary);
    if (lock >= 0)
        close_file(lock);
    free(temporary);
    return error;
}

int cnn_platform_file_replace(const char *path, const void *bytes, size_t size)
{
    struct stat status;
    char *target;
    int error = follow_links(path, &target, &status);
    if (error != 0)
        return error;
    const bool exists = status.st_mode != 0;
    const mode_t mode = exists ? status.st_mode & 0777 : 0;
    /* A rename would replace a device, a pipe, or a file that its owner has write-protected. */
    if (exists && S_ISDIR(status.st_mode))
        error = EISDIR;
    else if (exists && !S_ISREG(status.st_mode))
        error = EINVAL;
    else if (exists && access(target, W_OK) != 0)
        error = errno;
    if (error == 0) {
        remove_stale(target);
        /* Another machine may not see the lock on a network file, and remove the file as stale. */
        for (int attempt = 0; attempt == 0 || (error == EAGAIN && attempt < 10); attempt++)
            error = replace_with(target, exists, mode, bytes, size);
    }
    free(target);
    return error;
}
