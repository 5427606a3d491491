/* Linux, macOS and other POSIX systems: sizes of the caches. Part of platform.c. */

#if defined(__linux__)

/* The first line of a small file of the system, without its end; "" if it cannot be read. Takes no
 * memory: predict with a workspace promises that. */
static void read_line(const char *path, char *line, size_t size)
{
    size_t got = 0;
    system_file file = -1;
    uint64_t file_size;
    if (open_file(path, &file, &file_size) == 0) {
        if (read_some(file, 0, line, size - 1, &got) != 0)
            got = 0;
        close_file(file);
    }
    line[got] = '\0';
    line[strcspn(line, "\n")] = '\0';
}

/* How many CPUs a list such as "0-3,8" names; at least 1. */
static size_t count_cpus(const char *list)
{
    size_t count = 0;
    while (*list >= '0' && *list <= '9') {
        char *end;
        const unsigned long first = strtoul(list, &end, 10);
        const unsigned long last = *end == '-' ? strtoul(end + 1, &end, 10) : first;
        count += last >= first ? last - first + 1 : 1;
        list = *end == ',' ? end + 1 : end;
    }
    return count > 0 ? count : 1;
}

/* Bytes of "48K" or "2M". */
static size_t read_bytes(const char *text)
{
    char *end;
    const unsigned long long number = strtoull(text, &end, 10);
    const unsigned shift = *end == 'K' ? 10 : *end == 'M' ? 20 : 0;
    return (size_t)(number << shift);
}

static void find_caches(cnn_caches *caches)
{
    for (int index = 0; index < 8; index++) {
        static const char *const names[] = {"level", "type", "size", "shared_cpu_list"};
        char path[96], lines[4][128];
        for (int i = 0; i < 4; i++) {
            (void)snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/%s",
                           index, names[i]);
            read_line(path, lines[i], sizeof lines[i]);
        }
        const size_t bytes = read_bytes(lines[2]);
        if (bytes == 0 || strcmp(lines[1], "Instruction") == 0)
            continue;
        if (strcmp(lines[0], "1") == 0)
            caches->l1d = bytes;
        else if (strcmp(lines[0], "2") == 0)
            caches->l2 = bytes;
        else if (strcmp(lines[0], "3") == 0)
            caches->l3_share = bytes / count_cpus(lines[3]);
    }
}

#elif defined(__APPLE__)

static size_t read_sysctl(const char *name)
{
    int64_t value = 0;
    size_t size = sizeof value;
    return sysctlbyname(name, &value, &size, NULL, 0) == 0 && value > 0 ? (size_t)value : 0;
}

/* Of the fastest cores, several of which share an L2 cache; there is no L3 cache. */
static void find_caches(cnn_caches *caches)
{
    const size_t sharing = cnn_max(read_sysctl("hw.perflevel0.cpusperl2"), 1);
    caches->l1d = read_sysctl("hw.perflevel0.l1dcachesize");
    caches->l2 = read_sysctl("hw.perflevel0.l2cachesize") / sharing;
    if (caches->l1d == 0)
        caches->l1d = read_sysctl("hw.l1dcachesize");
    if (caches->l2 == 0)
        caches->l2 = read_sysctl("hw.l2cachesize");
}

#else

static void find_caches(cnn_caches *caches)
{
    (void)caches;
}

#endif
