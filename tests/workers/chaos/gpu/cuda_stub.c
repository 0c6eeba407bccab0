/* A libcuda.so.1 for tests, with -DCUDA, and what it adds to the stub of NVML (../../nvml_stub.c), without.
 * Two GPUs whose memory and work stand in files beside the library: PID.GPU.bytes holds how much a process
 * has there, PID.GPU.work is touched by each kernel. What a dead process had is free again, as with a driver.
 * A file `mode` there says how the driver behaves: full (no memory to give), leaks (the dead keep theirs),
 * nameless (names no processes), wedged (kernels never end), no-device, hangs, one-visible. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char *home(void) {
    static char folder[4096];
    Dl_info info;
    if (!folder[0] && dladdr((void *)home, &info)) {
        strncpy(folder, info.dli_fname, sizeof folder - 1);
        *strrchr(folder, '/') = 0;
    }
    return folder;
}

static int mode(const char *word) {
    char path[4200], said[32] = "";
    snprintf(path, sizeof path, "%s/mode", home());
    FILE *file = fopen(path, "r");
    if (file) {
        if (fscanf(file, "%31s", said) != 1) said[0] = 0;
        fclose(file);
    }
    return strcmp(said, word) == 0;
}

static void place(char *path, size_t size, int pid, int gpu, const char *what) {
    snprintf(path, size, "%s/%d.%d.%s", home(), pid, gpu, what);
}

static unsigned long long held(int pid, int gpu) {
    char path[4200];
    unsigned long long bytes = 0;
    place(path, sizeof path, pid, gpu, "bytes");
    FILE *file = fopen(path, "r");
    if (file) {
        if (fscanf(file, "%llu", &bytes) != 1) bytes = 0;
        fclose(file);
    }
    return bytes;
}

static int runs(int pid) {
    char path[64], state = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "r");
    if (!file) return 0;
    if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1) state = 0;
    fclose(file);
    return state && !strchr("ZX", state);
}

/* All holders of a GPU, into pids; how many. */
static unsigned holders(int gpu, int *pids, unsigned most) {
    unsigned count = 0;
    DIR *folder = opendir(home());
    struct dirent *entry;
    while (folder && (entry = readdir(folder))) {
        int pid, at;
        if (sscanf(entry->d_name, "%d.%d.byte", &pid, &at) != 2 || at != gpu || !strstr(entry->d_name, ".bytes")) continue;
        if ((runs(pid) || mode("leaks")) && count < most) pids[count++] = pid;
    }
    if (folder) closedir(folder);
    return count;
}

static const unsigned long long TOTAL[] = {141ULL << 30, 80ULL << 30};
static const unsigned long long OTHERS = 1ULL << 30; /* somebody else's model */

static unsigned long long used(int gpu) {
    int pids[64];
    unsigned long long sum = OTHERS;
    for (unsigned count = holders(gpu, pids, 64), i = 0; i < count; i++) sum += held(pids[i], gpu);
    return sum;
}

#ifdef CUDA
enum { OK = 0, OUT_OF_MEMORY = 2, NO_DEVICE = 100, INVALID_IMAGE = 200 };
static int current = -1;

int cuInit(unsigned flags) {
    if (mode("hangs")) for (;;) pause();
    puts("CUDA: a warning that nobody asked for"); fflush(stdout);
    return mode("no-device") ? NO_DEVICE : OK;
}
int cuGetErrorString(int error, const char **text) {
    *text = error == NO_DEVICE ? "no CUDA-capable device is detected" : error == OUT_OF_MEMORY ? "out of memory" : "another error";
    return OK;
}
int cuDeviceGetCount(int *count) { *count = mode("one-visible") ? 1 : 2; return OK; }
int cuDeviceGet(int *device, int ordinal) { *device = 1 - ordinal; return OK; } /* another order than NVML's */
int cuDeviceGetPCIBusId(char *text, int size, int device) { snprintf(text, size, "0000:%02X:00.0", 0xa1 + device); return OK; }
int cuDeviceGetAttribute(int *value, int attribute, int device) { *value = attribute == 16 ? 4 : 0; return OK; }

static int keep(unsigned long long bytes) {
    char path[4200];
    place(path, sizeof path, getpid(), current, "bytes");
    unsigned long long sum = held(getpid(), current) + bytes;
    FILE *file = fopen(path, "w");
    if (!file) return OUT_OF_MEMORY;
    fprintf(file, "%llu", sum);
    fclose(file);
    return OK;
}

int cuCtxCreate_v2(void **context, unsigned flags, int device) {
    current = device;
    *context = (void *)(long)(device + 1);
    return keep(300ULL << 20);
}
int cuCtxSetCurrent(void *context) { current = (int)(long)context - 1; return OK; }
int cuMemAlloc_v2(unsigned long long *pointer, size_t bytes) {
    if (mode("full") || used(current) + bytes > TOTAL[current]) return OUT_OF_MEMORY;
    *pointer = 1;
    return keep(bytes);
}
int cuModuleLoadData(void **module, const char *image) {
    *module = (void *)1;
    return strstr(image, ".visible .entry spin(") ? OK : INVALID_IMAGE;
}
int cuModuleGetFunction(void **function, void *module, const char *name) { *function = (void *)2; return strcmp(name, "spin"); }
int cuLaunchKernel(void *f, unsigned x, unsigned y, unsigned z, unsigned bx, unsigned by, unsigned bz,
                   unsigned shared, void *stream, void **arguments, void **extra) {
    char path[4200];
    if (x != 64 || y * z != 1 || bx != 128 || *(unsigned long long *)arguments[0] != 1) return INVALID_IMAGE;
    place(path, sizeof path, getpid(), current, "work");
    FILE *file = fopen(path, "w");
    if (file) fclose(file);
    return OK;
}
int cuCtxSynchronize(void) {
    if (mode("wedged")) for (;;) pause();
    usleep(5000);
    return OK;
}
#else
enum { OK = 0, INSUFFICIENT_SIZE = 7 };
typedef struct { unsigned long long total, free, used; } Memory;
typedef struct { unsigned gpu, memory; } Utilisation;
typedef struct { char legacy[16]; unsigned domain, bus, device, id, sub; char text[32]; } Pci;
typedef struct { unsigned pid; unsigned long long bytes; unsigned instance, compute; } Holder;
typedef struct device *Device;
static int gpu_of(Device device) { return (int)(long)device - 1; }

int nvmlDeviceGetMemoryInfo(Device device, Memory *memory) {
    if (mode("hangs")) for (;;) pause();
    memory->total = TOTAL[gpu_of(device)];
    memory->used = used(gpu_of(device));
    memory->free = memory->total - memory->used;
    return OK;
}
int nvmlDeviceGetPciInfo_v3(Device device, Pci *pci) {
    snprintf(pci->text, sizeof pci->text, "00000000:%02X:00.0", 0xa1 + gpu_of(device));
    return OK;
}
int nvmlDeviceGetUtilizationRates(Device device, Utilisation *busy) {
    int pids[64];
    memset(busy, 0, sizeof *busy);
    for (unsigned count = holders(gpu_of(device), pids, 64), i = 0; i < count; i++) {
        char path[4200];
        struct stat last;
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        place(path, sizeof path, pids[i], gpu_of(device), "work");
        if (!stat(path, &last) && now.tv_sec - last.st_mtim.tv_sec <= 1) busy->gpu = 97;
    }
    return OK;
}
int nvmlDeviceGetComputeRunningProcesses_v3(Device device, unsigned *count, Holder *found) {
    int pids[64];
    unsigned most = *count, there = mode("nameless") ? 0 : holders(gpu_of(device), pids, 64);
    *count = there;
    if (there > most) return INSUFFICIENT_SIZE;
    for (unsigned i = 0; i < there; i++) found[i] = (Holder){pids[i], held(pids[i], gpu_of(device)), 0, 0};
    return OK;
}
#endif
