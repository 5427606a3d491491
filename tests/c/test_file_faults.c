/*
 * Each call of the system by which a model file is saved or loaded fails in turn, with several
 * errors. A save then succeeds and the file is the new one, or tells the error and the file, and
 * the old one is as it was; no temporary file is left. A load succeeds, or tells the error and
 * makes nothing.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "faults/faults.h"
#include "models.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define FOLDER "test_file_faults.folder"
#define TARGET FOLDER "/net"
#define LINK FOLDER "/link"

static cnn_network *old_network, *new_network;
static cnn_trainer *new_trainer;
static size_t trials, refusals;

static cnn_network *make_network(size_t hidden)
{
    const cnn_layer layers[] = {{DENSE(50, hidden, CNN_RELU)}, {DENSE(hidden, 3, CNN_SOFTMAX)}};
    cnn_network *network = model_network(CNN_FLOAT32, 2, layers);
    CHECK(network);
    return network;
}

/* ---- What is on disk --------------------------------------------------------------------- */

/* Whether the target is the saved file of this network. */
static int holds(const cnn_network *network)
{
    cnn_network *loaded = NULL;
    void *have = NULL, *want = NULL;
    size_t have_size = 0, want_size = 0;
    if (cnn_network_load(TARGET, &loaded) != CNN_OK)
        return 0;
    CHECK(cnn_network_set_metadata(loaded, "lr", NULL) == CNN_OK); /* which a trainer's file has */
    CHECK(cnn_network_to_bytes(loaded, &have, &have_size) == CNN_OK);
    CHECK(cnn_network_to_bytes(network, &want, &want_size) == CNN_OK);
    const int same = have_size == want_size && memcmp(have, want, have_size) == 0;
    cnn_bytes_free(have);
    cnn_bytes_free(want);
    cnn_network_destroy(loaded);
    return same;
}

static int exists(void)
{
    struct stat status;
    return stat(TARGET, &status) == 0;
}

/* How many files of the folder have names of temporary files; they are removed if that is wanted.
 */
static int temporary_files(int removes)
{
    int count = 0;
    DIR *folder = opendir(FOLDER);
    if (!CHECK(folder != NULL))
        return -1;
    for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder))
        if (strncmp(entry->d_name, ".cnn-", 5) == 0) {
            count++;
            if (removes)
                CHECK(unlinkat(dirfd(folder), entry->d_name, 0) == 0);
        }
    closedir(folder);
    return count;
}

/* ---- Saving ------------------------------------------------------------------------------ */

static cnn_status save_network(const char *path)
{
    return cnn_network_save(new_network, path);
}

static cnn_status save_trainer(const char *path)
{
    return cnn_trainer_save_with(new_trainer, "lr", "0.5", path);
}

static const struct way {
    const char *name;
    cnn_status (*save)(const char *path);
    const char *path;
    int over; /* there is a file that is replaced */
} ways[] = {
    {"a new file", save_network, TARGET, 0},
    {"over a file", save_network, TARGET, 1},
    {"through a link", save_network, LINK, 1},
    {"a trainer over a file", save_trainer, TARGET, 1},
};

/* What is there before a save: the old file, with permissions that a new file has not. */
static void begin(const struct way *way)
{
    if (way->over) {
        CHECK(cnn_network_save(old_network, TARGET) == CNN_OK);
        CHECK(chmod(TARGET, 0666) == 0);
    } else if (exists()) {
        CHECK(remove(TARGET) == 0);
    }
}

static int tell(const struct way *way, int call, size_t number, int error, int good,
                const char *what)
{
#define FAULT_X(constant, name) #name,
    static const char *const names[] = {FAULT_CALLS(FAULT_X)};
#undef FAULT_X
    if (!good)
        printf("%s, %s %zu, %s: %s; the last message: %s\n", way->name, names[call], number,
               error == FAULT_SHORT ? "short" : strerror(error), what, cnn_last_error());
    return CHECK(good);
}

/* Save while call `number` of a kind fails, and all after it up to `last`; 1 if the save failed. */
static int save_with(const struct way *way, int call, size_t number, size_t last, int error,
                     size_t *failed)
{
    begin(way);
    const long live = faults_live();
    faults_arm(call, number, last, error);
    const cnn_status status = way->save(way->path);
    *failed = faults_disarm();
    trials++;
    refusals += status != CNN_OK;
    tell(way, call, number, error, faults_live() == live, "memory or a folder is left");
    if (status == CNN_OK) {
        tell(way, call, number, error, holds(new_network), "not the new file");
    } else {
        tell(way, call, number, error, status == CNN_ERROR_SYSTEM, "another error");
        tell(way, call, number, error, cnn_last_errno() == error, "another errno");
        tell(way, call, number, error, strstr(cnn_last_error(), strerror(error)) != NULL,
             "the message has not the error");
        tell(way, call, number, error, strstr(cnn_last_error(), way->path) != NULL,
             "the message has not the path");
        tell(way, call, number, error, way->over ? holds(old_network) : !exists(),
             "not as it was before");
    }
    if (call != FAULT_UNLINK)
        tell(way, call, number, error, temporary_files(1) == 0, "a temporary file is left");
    return status != CNN_OK;
}

/* What a save does if one call fails so: it never fails, always, or may do either, call by call. */
enum outcome { NEVER, ONCE_AT_LEAST };

static const struct expected {
    int call;
    int error;
    enum outcome outcome;
} saves[] = {
    {FAULT_OPEN, EACCES, ONCE_AT_LEAST},
    {FAULT_OPEN, ENOSPC, ONCE_AT_LEAST},
    {FAULT_OPEN, EROFS, ONCE_AT_LEAST},
    {FAULT_OPEN, EMFILE, ONCE_AT_LEAST},
    {FAULT_OPEN, EEXIST, NEVER}, /* another name is taken */
    {FAULT_WRITE, ENOSPC, ONCE_AT_LEAST},
    {FAULT_WRITE, EDQUOT, ONCE_AT_LEAST},
    {FAULT_WRITE, EIO, ONCE_AT_LEAST},
    {FAULT_WRITE, EINTR, NEVER},
    {FAULT_WRITE, FAULT_SHORT, NEVER},
    {FAULT_SYNC, EIO, ONCE_AT_LEAST},
    {FAULT_SYNC, ENOSPC, ONCE_AT_LEAST},
    {FAULT_SYNC, EINTR, NEVER},
    {FAULT_SYNC, EINVAL, NEVER}, /* a file system that cannot sync */
    {FAULT_SYNC, ENOTSUP, NEVER},
    {FAULT_CLOSE, EIO, ONCE_AT_LEAST},
    {FAULT_CLOSE, ENOSPC, ONCE_AT_LEAST},
    {FAULT_CLOSE, EINTR, NEVER},
    {FAULT_RENAME, EACCES, ONCE_AT_LEAST},
    {FAULT_RENAME, EROFS, ONCE_AT_LEAST},
    {FAULT_RENAME, EIO, ONCE_AT_LEAST},
    {FAULT_LOCK, ENOLCK, NEVER}, /* a file system without locks */
    {FAULT_HANDLE, EMFILE, NEVER},
    {FAULT_FOLDER, EACCES, NEVER}, /* stale files stay */
    {FAULT_UNLINK, EACCES, NEVER},
};

static void test_saves(const struct way *way)
{
    for (size_t i = 0; i < COUNT(saves); i++) {
        const struct expected *e = &saves[i];
        size_t failed = 1, refused = 0;
        for (size_t number = 0; failed > 0 && CHECK(number < 1000); number++)
            refused += (size_t)save_with(way, e->call, number, number, e->error, &failed);
        tell(way, e->call, 0, e->error, e->outcome == NEVER ? refused == 0 : refused > 0,
             e->outcome == NEVER ? "the save should go on" : "no save failed");
    }
}

/* Calls that look at what is there; the outcome depends on whether anything is. */
static void test_looks(const struct way *way)
{
    const int calls[] = {FAULT_STATUS, FAULT_LINK, FAULT_ACCESS, FAULT_MODE};
    for (size_t i = 0; i < COUNT(calls); i++) {
        size_t failed = 1, refused = 0, number = 0;
        for (; failed > 0 && CHECK(number < 1000); number++)
            refused += (size_t)save_with(way, calls[i], number, number, EIO, &failed);
        /* Each is called if it has to be, and what it does not tell is not guessed. */
        if (calls[i] == FAULT_LINK)
            CHECK(refused == (way->path[strlen(FOLDER) + 1] == 'l'));
        else if (way->over)
            tell(way, calls[i], number, EIO, refused > 0, "no save failed");
    }
}

/* A disk that is full from a write on, and one that takes each write in part only. */
static void test_all_after(const struct way *way)
{
    size_t failed = 0;
    CHECK(save_with(way, FAULT_WRITE, 0, SIZE_MAX, ENOSPC, &failed) == 1);
    CHECK(save_with(way, FAULT_WRITE, 0, SIZE_MAX, FAULT_SHORT, &failed) == 0);
    CHECK(failed > 5);
    CHECK(save_with(way, FAULT_OPEN, 0, SIZE_MAX, EEXIST, &failed) == 1);
    CHECK(save_with(way, FAULT_SYNC, 0, SIZE_MAX, EIO, &failed) == 1);
}

/* A stale file that cannot be removed does not hinder a save, and goes with the next one. */
static void test_unlink(void)
{
    const uint64_t hash = hash_bytes(HASH_BEGIN, "net", 3); /* of the target's name */
    char stale[100];
    snprintf(stale, sizeof stale, FOLDER "/.cnn-%08x%08x-0123456789abcdef.tmp",
             (unsigned)(hash >> 32), (unsigned)hash);
    FILE *file = fopen(stale, "w");
    CHECK(file && fclose(file) == 0);
    begin(&ways[0]);
    faults_arm(FAULT_UNLINK, 0, SIZE_MAX, EACCES);
    CHECK(cnn_network_save(new_network, TARGET) == CNN_OK);
    CHECK(faults_disarm() == 1);
    CHECK(holds(new_network) && temporary_files(0) == 1);
    CHECK(cnn_network_save(new_network, TARGET) == CNN_OK);
    CHECK(temporary_files(1) == 0);
}

/* ---- Loading ----------------------------------------------------------------------------- */

static int load_with(int call, size_t number, int error, size_t *failed)
{
    static const struct way way = {"load", NULL, TARGET, 1};
    cnn_network *loaded = NULL;
    cnn_trainer *trainer = NULL;
    const long live = faults_live();
    faults_arm(call, number, number, error);
    const cnn_status status = cnn_trainer_load(TARGET, &loaded, &trainer);
    *failed = faults_disarm();
    trials++;
    refusals += status != CNN_OK;
    if (status == CNN_OK) {
        tell(&way, call, number, error, cnn_trainer_steps(trainer) == 12, "another trainer");
    } else {
        tell(&way, call, number, error, status == CNN_ERROR_SYSTEM, "another error");
        tell(&way, call, number, error, cnn_last_errno() == error, "another errno");
        tell(&way, call, number, error, strstr(cnn_last_error(), TARGET) != NULL,
             "the message has not the path");
        tell(&way, call, number, error, !loaded && !trainer, "a handle after a failure");
    }
    cnn_trainer_destroy(trainer);
    cnn_network_destroy(loaded);
    tell(&way, call, number, error, faults_live() == live, "memory is left");
    return status != CNN_OK;
}

static void test_loads(void)
{
    const struct expected loads[] = {{FAULT_OPEN, EACCES, ONCE_AT_LEAST},
                                     {FAULT_OPEN, EMFILE, ONCE_AT_LEAST},
                                     {FAULT_STATUS, EIO, ONCE_AT_LEAST},
                                     {FAULT_READ, EIO, ONCE_AT_LEAST},
                                     {FAULT_READ, EINTR, NEVER},
                                     {FAULT_READ, FAULT_SHORT, NEVER},
                                     {FAULT_CLOSE, EIO, NEVER}};
    CHECK(cnn_trainer_set_steps(new_trainer, 12) == CNN_OK);
    CHECK(cnn_trainer_save(new_trainer, TARGET) == CNN_OK);
    for (size_t i = 0; i < COUNT(loads); i++) {
        size_t failed = 1, refused = 0;
        for (size_t number = 0; failed > 0 && CHECK(number < 1000); number++)
            refused += (size_t)load_with(loads[i].call, number, loads[i].error, &failed);
        CHECK(loads[i].outcome == NEVER ? refused == 0 : refused > 0);
    }
}

int main(void)
{
    const cnn_optimizer adam = {
        .struct_size = sizeof adam, .kind = CNN_ADAM, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
    old_network = make_network(30);
    new_network = make_network(70);
    CHECK(cnn_trainer_create(new_network, &adam, &new_trainer) == CNN_OK);
    CHECK(mkdir(FOLDER, 0755) == 0 || errno == EEXIST);
    CHECK(symlink("net", LINK) == 0 || errno == EEXIST);
    (void)umask(022);
    for (size_t i = 0; i < COUNT(ways); i++) {
        test_saves(&ways[i]);
        test_looks(&ways[i]);
        test_all_after(&ways[i]);
    }
    test_unlink();
    test_loads();
    cnn_trainer_destroy(new_trainer);
    cnn_network_destroy(new_network);
    cnn_network_destroy(old_network);
    CHECK(remove(TARGET) == 0 && remove(LINK) == 0 && rmdir(FOLDER) == 0);
    printf("%zu trials, %zu refused\n", trials, refusals);
    return check_finish();
}
