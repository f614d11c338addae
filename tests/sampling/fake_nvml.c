/* A driver library with two devices, as far as the tests need it: device 0 tells everything, device 1 almost nothing.
   What device 0 says is read anew, on each call, from the file that FAKE_NVML names. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SUCCESS = 0, INVALID = 2, NOT_SUPPORTED = 3, TOO_SMALL = 7, GPU_IS_LOST = 15 };
static int handles[2] = {0, 1};

static long long said(const char *key) {
    FILE *file = fopen(getenv("FAKE_NVML"), "r");
    char name[64];
    long long value, found = -1;
    while (file && fscanf(file, "%63s %lld", name, &value) == 2)
        if (!strcmp(name, key)) found = value;
    if (file) fclose(file);
    return found;
}

static int check(void *device) {
    if (*(int *)device == 1) return NOT_SUPPORTED;
    return said("lost") == 1 ? GPU_IS_LOST : SUCCESS;
}

static int give(void *device, const char *key, unsigned *out) {
    int code = check(device);
    if (!code) *out = (unsigned)said(key);
    return code;
}

int nvmlInitWithFlags(unsigned flags) { (void)flags; return said("dead") == 1 ? 9 : SUCCESS; }
int nvmlShutdown(void) { return SUCCESS; }
const char *nvmlErrorString(int code) {
    return code == NOT_SUPPORTED ? "Not Supported" : code == GPU_IS_LOST ? "GPU is lost" : "Driver Not Loaded";
}
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 2; return SUCCESS; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) {
    if (index > 1) return INVALID;
    *device = &handles[index];
    return SUCCESS;
}

struct memory { unsigned long long total, available, used; };
int nvmlDeviceGetMemoryInfo(void *device, struct memory *out) {
    if (said("lost") == 1) return GPU_IS_LOST;
    out->total = 80LL << 30;
    out->used = *(int *)device ? 1LL << 30 : (unsigned long long)said("used");
    return SUCCESS;
}

struct utilisation { unsigned gpu, memory; };
int nvmlDeviceGetUtilizationRates(void *device, struct utilisation *out) {
    int code = give(device, "utilisation", &out->gpu);
    return code ? code : give(device, "memory_utilisation", &out->memory);
}
int nvmlDeviceGetPowerUsage(void *device, unsigned *out) { return give(device, "milliwatts", out); }
int nvmlDeviceGetTemperature(void *device, int kind, unsigned *out) { (void)kind; return give(device, "celsius", out); }
int nvmlDeviceGetClockInfo(void *device, int kind, unsigned *out) {
    return give(device, kind == 2 ? "memory_megahertz" : "sm_megahertz", out);
}
int nvmlDeviceGetCurrentClocksThrottleReasons(void *device, unsigned long long *out) {
    int code = check(device);
    if (!code) *out = (unsigned long long)said("reasons");
    return code;
}

struct process { unsigned pid; unsigned long long used; unsigned instance, compute; };
int nvmlDeviceGetComputeRunningProcesses_v3(void *device, unsigned *count, struct process *out) {
    int code = check(device);
    unsigned room = *count;
    if (code) return code;
    *count = 2;
    if (room < 2 || !out) return TOO_SMALL;
    memset(out, 0, 2 * sizeof *out);
    out[0].pid = 1;
    out[0].used = 5LL << 30;
    out[1].pid = (unsigned)getpid();
    out[1].used = (unsigned long long)said("own");
    return SUCCESS;
}
