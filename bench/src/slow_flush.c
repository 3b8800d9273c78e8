/* For LD_PRELOAD: each flush of PostgreSQL's log takes five milliseconds longer, as on a slower disk. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <time.h>

int fdatasync(int file)
{
    int (*flush)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    struct timespec rest = {0, 5000000};
    while (nanosleep(&rest, &rest) == -1 && errno == EINTR)
        ;
    return flush(file);
}
