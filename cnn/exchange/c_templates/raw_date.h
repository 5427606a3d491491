/*
 * The days since 1970, the month, the weekday from Monday on as 0, and the hour of a date, given in
 * seconds since 1970. Returns 0 if it is out of range.
 */
static inline int ${own}_date(double seconds, double *parts)
{
    for (int k = 0; k < 4; k++)
        parts[k] = seconds;
    if (seconds != seconds)
        return 1;
    if (!(seconds > -9.2e12 && seconds < 9.2e12))
        return 0;
    const int64_t million = 1000000, in_day = 86400 * million;
    int64_t whole = (int64_t)seconds;
    whole -= (double)whole > seconds;
    /* volatile, so that no compiler makes one rounding of the two. */
    const volatile double part = (seconds - (double)whole) * 1e6;
    const int64_t time = whole * million + (int64_t)(part + 0.5);
    const int64_t day = time / in_day - (time % in_day < 0);
    const double rest = (double)(time - day * in_day) / 1e6;
    /* Days since the first of March of a year before all dates, in cycles of 400 years. */
    const int64_t cycle = 146097, shifted = day + 719468 + 1000 * cycle;
    const int64_t in_cycle = shifted % cycle;
    const int64_t year = (in_cycle - in_cycle / 1460 + in_cycle / 36524 - in_cycle / 146096) / 365;
    const int64_t in_year = in_cycle - (365 * year + year / 4 - year / 100);
    const int64_t from_march = (5 * in_year + 2) / 153;
    parts[0] = (double)day + rest / 86400.0;
    parts[1] = (double)(from_march < 10 ? from_march + 3 : from_march - 9);
    /* 0 was a Thursday, and a cycle has whole weeks. */
    parts[2] = (double)((day + 3 + 1000 * cycle) % 7);
    parts[3] = rest / 3600.0;
    return 1;
}

