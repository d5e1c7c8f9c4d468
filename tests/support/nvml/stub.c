/* A libnvidia-ml.so.1 for tests: the functions of NVML that we call, answered from a description.
 *
 * nvmlInitWithFlags reads the file named by NVML_STUB_MACHINE (written by machines.py). Each line
 * is a word and its values; "gpu" and "slice" begin the device that the following lines describe.
 * "answer FUNCTION CODE" makes a function fail, for the device it stands under, or everywhere; with
 * HANGS for a code it never answers. What happens in the middle of a session is told by calling
 * stub_lose.
 *
 * Names, structs and codes are those of nvml.h; layouts are asserted, because the binding's own
 * are what is tested against them. */

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    SUCCESS = 0,
    UNINITIALIZED = 1,
    INVALID_ARGUMENT = 2,
    NOT_SUPPORTED = 3,
    NOT_FOUND = 6,
    INSUFFICIENT_SIZE = 7,
    GPU_IS_LOST = 15,
    ARGUMENT_VERSION_MISMATCH = 25,
    UNKNOWN = 999,
    HANGS = -1, /* none of NVML's */
};

enum { MOST_DEVICES = 16, MOST_SLICES = 7, MOST_PROCESSES = 8, MOST_ANSWERS = 16, LONGEST = 96 };

typedef unsigned int uint;
typedef unsigned long long bytes;

typedef struct { bytes total, free, used; } Memory;
typedef struct { uint version; bytes total, reserved, free, used; } Memory_v2;
typedef struct { uint gpu, memory; } Utilization;
typedef struct { uint pid; bytes used; uint gpuInstance, computeInstance; } Process;
typedef struct {
    char busIdLegacy[16];
    uint domain, bus, device, pciDeviceId, pciSubSystemId;
    char busId[32];
} PciInfo;

_Static_assert(sizeof(Memory) == 24, "nvmlMemory_t");
_Static_assert(sizeof(Memory_v2) == 40, "nvmlMemory_v2_t");
_Static_assert(sizeof(Process) == 24, "nvmlProcessInfo_t");
_Static_assert(sizeof(PciInfo) == 68 && offsetof(PciInfo, pciDeviceId) == 28, "nvmlPciInfo_t");

typedef struct { char function[LONGEST]; int code; } Answer;
typedef struct { Answer list[MOST_ANSWERS]; int count; } Answers;

typedef struct Device {
    char uuid[LONGEST], name[LONGEST], bus[32];
    uint pci;
    int major, minor;
    bytes total, reserved, free;
    int utilization; /* -1: not supported */
    int mig;         /* -1: not supported, 0: off, 1: on */
    /* -1: not supported; in mW, mJ and degrees Celsius */
    long long power, power_limit, energy, temperature;
    int lost;
    Process processes[MOST_PROCESSES];
    uint process_count;
    struct Device *slices;
    uint slice_count;
    Answers answers;
} Device;

static int sessions;
static char driver[80];
static Device devices[MOST_DEVICES];
static Device slices[MOST_DEVICES][MOST_SLICES];
static uint device_count;
static Answers everywhere;

static int find_answer(const Answers *answers, const char *function) {
    for (int i = 0; i < answers->count; i++)
        if (strcmp(answers->list[i].function, function) == 0) return answers->list[i].code;
    return SUCCESS;
}

/* What every function begins with: the session, then the answers it has been told to give. */
static int begin(const Device *device, const char *function) {
    if (sessions == 0) return UNINITIALIZED;
    if (device != NULL && device->lost) return GPU_IS_LOST;
    int code = find_answer(&everywhere, function);
    if (code == SUCCESS && device != NULL) code = find_answer(&device->answers, function);
    while (code == HANGS) pause();
    return code;
}

#define BEGIN(device)                                  \
    do {                                               \
        int code_ = begin((device), __func__);         \
        if (code_ != SUCCESS) return code_;            \
    } while (0)

static int copy(char *to, uint length, const char *from) {
    if (strlen(from) >= length) return INSUFFICIENT_SIZE;
    strcpy(to, from);
    return SUCCESS;
}

/* ---- the description ---- */

static int add_answer(Answers *answers, const char *values) {
    if (answers->count == MOST_ANSWERS) return 0;
    Answer *answer = &answers->list[answers->count++];
    return sscanf(values, "%95s %d", answer->function, &answer->code) == 2;
}

static int add_process(Device *device, const char *values) {
    if (device->process_count == MOST_PROCESSES) return 0;
    Process *process = &device->processes[device->process_count++];
    return sscanf(values, "%u %llu", &process->pid, &process->used) == 2;
}

/* One line about a device; 0 when it is not understood. */
static int describe(Device *device, const char *word, const char *values) {
    if (!strcmp(word, "uuid")) return copy(device->uuid, LONGEST, values) == SUCCESS;
    if (!strcmp(word, "name")) return copy(device->name, LONGEST, values) == SUCCESS;
    if (!strcmp(word, "pci")) return sscanf(values, "%x %31s", &device->pci, device->bus) == 2;
    if (!strcmp(word, "capability"))
        return sscanf(values, "%d %d", &device->major, &device->minor) == 2;
    if (!strcmp(word, "memory"))
        return sscanf(values, "%llu %llu %llu", &device->total, &device->reserved,
                      &device->free) == 3;
    if (!strcmp(word, "utilization")) return sscanf(values, "%d", &device->utilization) == 1;
    if (!strcmp(word, "power"))
        return sscanf(values, "%lld %lld", &device->power, &device->power_limit) == 2;
    if (!strcmp(word, "energy")) return sscanf(values, "%lld", &device->energy) == 1;
    if (!strcmp(word, "temperature")) return sscanf(values, "%lld", &device->temperature) == 1;
    if (!strcmp(word, "mig")) return sscanf(values, "%d", &device->mig) == 1;
    if (!strcmp(word, "process")) return add_process(device, values);
    if (!strcmp(word, "answer")) return add_answer(&device->answers, values);
    return 0;
}

static Device *tells_nothing(Device *device) {
    device->utilization = device->mig = -1;
    device->power = device->power_limit = device->energy = device->temperature = -1;
    return device;
}

static int read_line(char *line, Device **gpu, Device **device) {
    line[strcspn(line, "\n")] = '\0';
    char *values = strchr(line, ' ');
    if (values != NULL) *values++ = '\0';
    else values = line + strlen(line);
    if (!strcmp(line, "gpu")) {
        if (device_count == MOST_DEVICES) return 0;
        *gpu = *device = tells_nothing(&devices[device_count]);
        (*gpu)->slices = slices[device_count++];
        return 1;
    }
    if (!strcmp(line, "slice")) {
        if (*gpu == NULL || (*gpu)->slice_count == MOST_SLICES) return 0;
        *device = tells_nothing(&(*gpu)->slices[(*gpu)->slice_count++]);
        return 1;
    }
    if (*device != NULL) return describe(*device, line, values);
    if (!strcmp(line, "driver")) return copy(driver, sizeof driver, values) == SUCCESS;
    if (!strcmp(line, "answer")) return add_answer(&everywhere, values);
    return 0;
}

static int read_machine(void) {
    const char *path = getenv("NVML_STUB_MACHINE");
    FILE *file = path == NULL ? NULL : fopen(path, "r");
    if (file == NULL) {
        fprintf(stderr, "stub NVML: NVML_STUB_MACHINE names no file\n");
        return 0;
    }
    memset(devices, 0, sizeof devices);
    memset(slices, 0, sizeof slices);
    memset(&everywhere, 0, sizeof everywhere);
    device_count = 0;
    Device *gpu = NULL, *device = NULL;
    char line[512];
    int understood = 1;
    while (understood && fgets(line, sizeof line, file) != NULL)
        if (!(understood = read_line(line, &gpu, &device)))
            fprintf(stderr, "stub NVML: not understood: %s\n", line);
    fclose(file);
    return understood;
}

/* ---- NVML ---- */

int nvmlInitWithFlags(uint flags) {
    (void)flags;
    if (sessions == 0 && !read_machine()) return UNKNOWN;
    int code = find_answer(&everywhere, __func__);
    if (code == SUCCESS) sessions++;
    return code;
}

int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }

int nvmlShutdown(void) {
    BEGIN(NULL);
    sessions--;
    return SUCCESS;
}

const char *nvmlErrorString(int code) {
    (void)code;
    return "an error of the stub";
}

int nvmlSystemGetDriverVersion(char *version, uint length) {
    BEGIN(NULL);
    return copy(version, length, driver);
}

int nvmlDeviceGetCount_v2(uint *count) {
    BEGIN(NULL);
    *count = device_count;
    return SUCCESS;
}

int nvmlDeviceGetHandleByIndex_v2(uint index, Device **device) {
    if (index >= device_count) return INVALID_ARGUMENT;
    BEGIN(&devices[index]);
    *device = &devices[index];
    return SUCCESS;
}

int nvmlDeviceGetHandleByUUID(const char *uuid, Device **device) {
    BEGIN(NULL);
    for (uint i = 0; i < device_count; i++) {
        Device *gpu = &devices[i];
        if (!strcmp(gpu->uuid, uuid)) return *device = gpu, SUCCESS;
        for (uint n = 0; n < gpu->slice_count; n++)
            if (!strcmp(gpu->slices[n].uuid, uuid)) return *device = &gpu->slices[n], SUCCESS;
    }
    return NOT_FOUND;
}

int nvmlDeviceGetIndex(Device *device, uint *index) {
    BEGIN(device);
    if (device < devices || device >= devices + device_count) return INVALID_ARGUMENT;
    *index = (uint)(device - devices);
    return SUCCESS;
}

int nvmlDeviceGetName(Device *device, char *name, uint length) {
    BEGIN(device);
    return copy(name, length, device->name);
}

int nvmlDeviceGetUUID(Device *device, char *uuid, uint length) {
    BEGIN(device);
    return copy(uuid, length, device->uuid);
}

int nvmlDeviceGetPciInfo_v3(Device *device, PciInfo *info) {
    BEGIN(device);
    memset(info, 0, sizeof *info);
    info->pciDeviceId = device->pci;
    sscanf(device->bus, "%x:%x:%x", &info->domain, &info->bus, &info->device);
    return copy(info->busId, sizeof info->busId, device->bus);
}

int nvmlDeviceGetCudaComputeCapability(Device *device, int *major, int *minor) {
    BEGIN(device);
    if (device->major == 0) return NOT_SUPPORTED; /* a MIG device has its GPU's */
    *major = device->major;
    *minor = device->minor;
    return SUCCESS;
}

/* Version 1 counts what the driver reserves as used; machines with unified memory have neither. */
int nvmlDeviceGetMemoryInfo(Device *device, Memory *memory) {
    BEGIN(device);
    if (device->total == 0) return NOT_SUPPORTED;
    *memory = (Memory){device->total, device->free, device->total - device->free};
    return SUCCESS;
}

int nvmlDeviceGetMemoryInfo_v2(Device *device, Memory_v2 *memory) {
    BEGIN(device);
    if (memory->version != (sizeof(Memory_v2) | 2u << 24)) return ARGUMENT_VERSION_MISMATCH;
    if (device->total == 0) return NOT_SUPPORTED;
    memory->total = device->total;
    memory->reserved = device->reserved;
    memory->free = device->free;
    memory->used = device->total - device->reserved - device->free;
    return SUCCESS;
}

int nvmlDeviceGetUtilizationRates(Device *device, Utilization *utilization) {
    BEGIN(device);
    if (device->utilization < 0) return NOT_SUPPORTED;
    *utilization = (Utilization){(uint)device->utilization, 0};
    return SUCCESS;
}

static int tell(long long value, void *to, size_t size) {
    if (value < 0) return NOT_SUPPORTED;
    memcpy(to, &value, size); /* little-endian, as all machines with such GPUs are */
    return SUCCESS;
}

int nvmlDeviceGetPowerUsage(Device *device, uint *milliwatts) {
    BEGIN(device);
    return tell(device->power, milliwatts, sizeof *milliwatts);
}

int nvmlDeviceGetEnforcedPowerLimit(Device *device, uint *milliwatts) {
    BEGIN(device);
    return tell(device->power_limit, milliwatts, sizeof *milliwatts);
}

int nvmlDeviceGetTotalEnergyConsumption(Device *device, bytes *millijoules) {
    BEGIN(device);
    return tell(device->energy, millijoules, sizeof *millijoules);
}

int nvmlDeviceGetTemperature(Device *device, uint sensor, uint *celsius) {
    BEGIN(device);
    if (sensor != 0) return INVALID_ARGUMENT;
    return tell(device->temperature, celsius, sizeof *celsius);
}

int nvmlDeviceGetComputeRunningProcesses_v3(Device *device, uint *count, Process *processes) {
    BEGIN(device);
    uint room = *count;
    *count = device->process_count;
    if (room < device->process_count) return INSUFFICIENT_SIZE;
    if (device->process_count > 0)
        memcpy(processes, device->processes, device->process_count * sizeof *processes);
    return SUCCESS;
}

int nvmlDeviceGetMigMode(Device *device, uint *current, uint *pending) {
    BEGIN(device);
    if (device->mig < 0) return NOT_SUPPORTED;
    *current = *pending = (uint)device->mig;
    return SUCCESS;
}

int nvmlDeviceGetMaxMigDeviceCount(Device *device, uint *count) {
    BEGIN(device);
    *count = device->mig < 0 ? 0 : MOST_SLICES;
    return SUCCESS;
}

int nvmlDeviceGetMigDeviceHandleByIndex(Device *device, uint index, Device **slice) {
    BEGIN(device);
    if (index >= device->slice_count) return NOT_FOUND;
    *slice = &device->slices[index];
    return SUCCESS;
}

/* ---- none of NVML's ---- */

/* From now on the GPU answers as one that has fallen off the bus. */
void stub_lose(uint index) { devices[index].lost = 1; }
