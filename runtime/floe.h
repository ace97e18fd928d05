/* The C API of Floe: opens a compiled program (.floe) and runs it.
 *
 *   floe_model_open_file -> floe_session_create -> floe_session_bind -> floe_session_run
 *
 * Conventions
 *  - A function that can fail returns a floe_status and takes a `floe_error* error`, which may be
 *    null. On failure it is filled with what went wrong and where; floe_error_format turns it into
 * a sentence. On success it is not touched. Output parameters are written on success only.
 *  - Every struct that may grow starts with struct_size = sizeof(the struct); the FLOE_..._INIT
 *    macros set it and the defaults. A null options pointer means all defaults.
 *  - No function prints, aborts, reads the environment, throws, or keeps thread-local state. The
 *    library returns no strings of its own: text goes into buffers of the caller.
 *  - All memory comes through the allocator of the options (default: aligned_alloc and free). A
 *    failing allocator gives FLOE_RESOURCE_EXHAUSTED and leaves every object usable.
 *
 * Threads
 *  - A floe_model is immutable: any number of threads may use it at once.
 *  - A floe_session belongs to one thread at a time: make one for each concurrent run. It is cheap:
 *    the weights are the model's.
 *  - A floe_thread_pool may be shared by any number of sessions. A run takes it if it is free and
 *    runs on the calling thread alone if not, so runs never wait for each other.
 *  - After fork() in a child, sessions of a pool run on the calling thread alone.
 *
 * Results are bit-identical for every number of threads and on every run of one file on one ISA. */
#ifndef FLOE_RUNTIME_FLOE_H_
#define FLOE_RUNTIME_FLOE_H_

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define FLOE_API __attribute__((visibility("default")))
#else
#define FLOE_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define FLOE_VERSION_MAJOR 0
#define FLOE_VERSION_MINOR 1
#define FLOE_VERSION_PATCH 0
#define FLOE_VERSION ((FLOE_VERSION_MAJOR << 16) | (FLOE_VERSION_MINOR << 8) | FLOE_VERSION_PATCH)

/* The version of the library that runs, in the form of FLOE_VERSION. */
FLOE_API uint32_t floe_version(void);

/* ---- Status and errors ---------------------------------------------------------------------- */

typedef enum floe_status {
  FLOE_OK = 0,
  FLOE_INVALID_ARGUMENT = 1,    /* The caller passed something wrong: shape, dtype, name, null. */
  FLOE_INVALID_FILE = 2,        /* The bytes are no valid program; floe_error.rule says why. */
  FLOE_UNSUPPORTED = 3,         /* Valid, but this build or this machine cannot do it. */
  FLOE_RESOURCE_EXHAUSTED = 4,  /* An allocation failed or a limit was hit. */
  FLOE_NOT_FOUND = 5,           /* No such file, method, input, state. */
  FLOE_FAILED_PRECONDITION = 6, /* Called in the wrong order, for example run before bind. */
  FLOE_CANCELLED = 7,
  FLOE_DEADLINE_EXCEEDED = 8,
  FLOE_IO = 9,            /* The operating system refused; floe_error.got is errno. */
  FLOE_OUT_OF_RANGE = 10, /* A value met at run time (an index) lies outside its range. */
  FLOE_INTERNAL = 11      /* A bug in Floe. */
} floe_status;

#define FLOE_NO_INDEX 0xffffffffu

/* Owned by the caller; fixed size. Strings are NUL-terminated, cut at their end when too long. */
typedef struct floe_error {
  int32_t code;         /* floe_status. */
  int32_t rule;         /* Number of the broken rule (docs: FORMAT.md); 0 if none. */
  uint32_t instruction; /* Index in the program; FLOE_NO_INDEX if unknown. */
  uint32_t value;       /* Index in the program; FLOE_NO_INDEX if unknown. */
  uint32_t operand;     /* Position among an instruction's operands, inputs first. */
  int32_t axis;         /* -1 if unknown. */
  int64_t expected;
  int64_t got;
  char op[32];      /* The op of the instruction: "conv". */
  char node[96];    /* The user's node. */
  char tensor[96];  /* The input, output, state or value. */
  char detail[248]; /* Shapes, bounds, symbols, paths. */
} floe_error;

/* Writes one sentence (what, where, what to do), NUL-terminated, cut at capacity. Returns its full
 * length without the NUL. `buffer` may be null when capacity is 0. 512 bytes hold most messages. */
FLOE_API size_t floe_error_format(const floe_error* error, char* buffer, size_t capacity);

/* ---- Host services -------------------------------------------------------------------------- */

/* allocate returns null when memory is exhausted; alignment is a power of two. Both must be safe to
 * call from every thread that opens models, makes sessions or binds. release gets the same size. */
typedef struct floe_allocator {
  void* self;
  void* (*allocate)(void* self, size_t bytes, size_t alignment);
  void (*release)(void* self, void* memory, size_t bytes);
} floe_allocator;

/* The host's own threads. parallel_for calls fn(arg, i) exactly once for every i < n, in any order,
 * on any threads, and returns when all calls have returned. n <= workers. Calls may come from
 * several sessions at once. fn never blocks, so a serial parallel_for is correct too. */
typedef struct floe_executor {
  void* self;
  void (*parallel_for)(void* self, uint32_t n, void (*fn)(void* arg, uint32_t index), void* arg);
  uint32_t workers; /* Calls worth making at once, the calling thread included; 1 to 256. */
} floe_executor;

typedef struct floe_thread_pool floe_thread_pool;

typedef struct floe_thread_pool_options {
  size_t struct_size;
  uint32_t threads; /* Workers, the calling thread included: threads - 1 are started. 0: as many as
                       the process may use (its CPU affinity). At most 256. */
  uint32_t
      spin_us; /* How long an idle worker spins before it sleeps, while a run holds the pool. */
  size_t stack_bytes;       /* Of each thread; 0: 256 KiB. */
  floe_allocator allocator; /* All null: the default. */
} floe_thread_pool_options;
#define FLOE_THREAD_POOL_OPTIONS_INIT                                 \
  {                                                                   \
    sizeof(floe_thread_pool_options), 0, 200, 0, { NULL, NULL, NULL } \
  }

/* Threads that cannot be started are done without: see floe_thread_pool_size. */
FLOE_API floe_status floe_thread_pool_create(const floe_thread_pool_options* options,
                                             floe_thread_pool** pool, floe_error* error);
/* Drops the caller's reference; the threads end when the last session that uses them is gone.
 * Null is fine. Safe in a forked child. */
FLOE_API void floe_thread_pool_release(floe_thread_pool* pool);
/* Workers, the calling thread included: 1 if no thread could be started. */
FLOE_API uint32_t floe_thread_pool_size(const floe_thread_pool* pool);

/* ---- Tensors -------------------------------------------------------------------------------- */

#define FLOE_MAX_RANK 8

typedef enum floe_dtype {
  FLOE_NONE = 0,
  FLOE_F32 = 1,
  FLOE_F64 = 2,
  FLOE_F16 = 3,
  FLOE_BF16 = 4,
  FLOE_I8 = 5,
  FLOE_U8 = 6,
  FLOE_I16 = 7,
  FLOE_U16 = 8,
  FLOE_I32 = 9,
  FLOE_U32 = 10,
  FLOE_I64 = 11,
  FLOE_U64 = 12,
  FLOE_BOOL = 13 /* One byte, 0 or 1. */
} floe_dtype;

/* A dense, row-major tensor in the caller's memory, aligned to its element size. */
typedef struct floe_tensor {
  void* data; /* Inputs are never written. */
  size_t bytes;
  int32_t dtype; /* floe_dtype. */
  uint32_t rank;
  int64_t dims[FLOE_MAX_RANK];
} floe_tensor;

/* ---- Model ---------------------------------------------------------------------------------- */

typedef struct floe_model floe_model;

typedef struct floe_limits {
  uint64_t max_metadata_bytes;
  uint64_t max_arena_bytes; /* Arena plus scratch of one bucket. */
  uint64_t max_instructions;
  double max_work; /* Floating-point operations of one run at the largest shapes. */
} floe_limits;

typedef struct floe_open_options {
  size_t struct_size;
  floe_limits limits;       /* A field of 0 means its default: 256 MiB, 64 GiB, 1 Mi, 1e15. */
  const char* backend;      /* "cpu" (default), "reference". */
  const char* isa;          /* Highest ISA to use: "sse2", "avx2", "avx512", ... Null: the best. */
  int32_t verify_payload;   /* Not 0: check the checksums of the weights too (reads them all). */
  int32_t copy;             /* Not 0: copy the file into allocated memory and ask for huge pages, so
                               that later changes to the file cannot touch the process. */
  floe_allocator allocator; /* All null: the default. Also used by the model's sessions. */
} floe_open_options;
#define FLOE_OPEN_OPTIONS_INIT                                                      \
  {                                                                                 \
    sizeof(floe_open_options), {0, 0, 0, 0}, NULL, NULL, 0, 0, { NULL, NULL, NULL } \
  }

/* Maps the file and validates it completely (checksums of the weights aside); costs the same for
 * every size of weights. Unless options->copy is set, the file must not be truncated or rewritten
 * in place while the model lives: replace files by renaming. */
FLOE_API floe_status floe_model_open_file(const char* path, const floe_open_options* options,
                                          floe_model** model, floe_error* error);
/* The same from memory, which must be 64-byte aligned and stay unchanged while the model lives,
 * unless options->copy is set: then neither holds. */
FLOE_API floe_status floe_model_open_bytes(const void* data, size_t bytes,
                                           const floe_open_options* options, floe_model** model,
                                           floe_error* error);
/* Drops the caller's reference; sessions keep the model alive. Null is fine. */
FLOE_API void floe_model_release(floe_model* model);

typedef struct floe_model_info {
  size_t struct_size;
  uint32_t methods;
  uint32_t states;
  uint32_t symbols;
  uint32_t goldens;
  uint32_t instructions;
  uint32_t values;
  uint64_t file_bytes;
  uint64_t constant_bytes; /* Weights: read in place from the file. */
  uint64_t resident_bytes; /* Private memory of the model: metadata, index tables, a copy. */
  char backend[16];
  char isa[16];
} floe_model_info;
FLOE_API floe_status floe_model_get_info(const floe_model* model, floe_model_info* info);

typedef struct floe_method_info {
  size_t struct_size;
  uint32_t inputs;
  uint32_t outputs;
  uint32_t buckets;
} floe_method_info;
FLOE_API floe_status floe_model_get_method(const floe_model* model, uint32_t method,
                                           floe_method_info* info);

/* Memory of one bucket: exact, known before anything is bound. */
typedef struct floe_bucket_info {
  size_t struct_size;
  uint64_t arena_bytes;
  uint64_t scratch_bytes; /* For each worker. */
} floe_bucket_info;
FLOE_API floe_status floe_model_get_bucket(const floe_model* model, uint32_t method,
                                           uint32_t bucket, floe_bucket_info* info);

/* One axis: min == max when it is fixed. `symbol` is FLOE_NO_INDEX unless the dimension is exactly
 * one symbol; axes with the same symbol must be equal. */
typedef struct floe_axis {
  int64_t min;
  int64_t max;
  int64_t multiple;
  uint32_t symbol;
  uint32_t reserved;
} floe_axis;
typedef struct floe_tensor_spec {
  size_t struct_size;
  int32_t dtype;
  uint32_t rank;
  floe_axis axes[FLOE_MAX_RANK];
} floe_tensor_spec;

typedef enum floe_entity {
  FLOE_METHOD = 0, /* `method` is ignored. */
  FLOE_INPUT = 1,
  FLOE_OUTPUT = 2,
  FLOE_STATE = 3, /* `method` is ignored. */
  FLOE_SYMBOL = 4 /* `method` is ignored. */
} floe_entity;

/* The type of an input, output or state. */
FLOE_API floe_status floe_model_get_spec(const floe_model* model, floe_entity entity,
                                         uint32_t method, uint32_t index, floe_tensor_spec* spec);
/* Copies a name, NUL-terminated, cut at capacity. Returns its full length, 0 if there is no such
 * thing. */
FLOE_API size_t floe_model_get_name(const floe_model* model, floe_entity entity, uint32_t method,
                                    uint32_t index, char* buffer, size_t capacity);
/* Finds by name. FLOE_NOT_FOUND if there is none. */
FLOE_API floe_status floe_model_find(const floe_model* model, floe_entity entity, uint32_t method,
                                     const char* name, uint32_t* index);

/* Expected outputs for given inputs, stored in the file by the compiler. Passes when
 * max|y - golden| <= atol + rtol * max|golden| for every output. */
typedef struct floe_golden {
  size_t struct_size;
  uint32_t method;
  uint32_t tensors;
  double rtol;
  double atol;
} floe_golden;
FLOE_API floe_status floe_model_get_golden(const floe_model* model, uint32_t golden,
                                           floe_golden* info);
/* Points into the model's memory. *entity is FLOE_INPUT or FLOE_OUTPUT, *index its position. */
FLOE_API floe_status floe_model_get_golden_tensor(const floe_model* model, uint32_t golden,
                                                  uint32_t tensor, floe_entity* entity,
                                                  uint32_t* index, floe_tensor* out);

/* ---- Session -------------------------------------------------------------------------------- */

typedef struct floe_session floe_session;

typedef enum floe_denormals {
  FLOE_DENORMALS_FLUSH = 0, /* Denormal inputs and results count as zero: never slow. */
  FLOE_DENORMALS_KEEP = 1   /* IEEE gradual underflow. */
} floe_denormals;

typedef struct floe_session_options {
  size_t struct_size;
  floe_thread_pool* pool;  /* Null: no pool. Kept alive by the session. */
  floe_executor executor;  /* All null: none. Excludes pool. */
  int32_t denormals;       /* floe_denormals. */
  int32_t own_outputs;     /* Not 0: bind makes memory for all outputs; get it with
                              floe_session_get_output. floe_session_set_output still works. */
  uint32_t profile_events; /* Not 0: runs record this many last instructions (32 bytes each). */
  int32_t lazy_memory; /* Not 0: bind does not touch arena and weights, so the first run pays for
                          their page faults. */
  floe_allocator allocator; /* All null: the model's. */
} floe_session_options;
#define FLOE_SESSION_OPTIONS_INIT                                                         \
  {                                                                                       \
    sizeof(floe_session_options), NULL, {NULL, NULL, 0}, FLOE_DENORMALS_FLUSH, 0, 0, 0, { \
      NULL, NULL, NULL                                                                    \
    }                                                                                     \
  }

/* Makes the states (with their initial contents); arenas come with the first bind. */
FLOE_API floe_status floe_session_create(floe_model* model, const floe_session_options* options,
                                         floe_session** session, floe_error* error);
FLOE_API void floe_session_destroy(floe_session* session);

/* Fixes the shapes of a method's inputs, all of them in the method's order, and plans the run:
 * solves the symbols, takes the smallest bucket that covers them, allocates arena and scratch as
 * one block and prepares every instruction. `data` may be null (set it later with
 * floe_session_set_input). Binding the shapes that are bound already only sets the pointers, unless
 * the program finds sizes in its runs. Those are at their bounds until a run has found them:
 * buffers of outputs are as large as bind says, and floe_session_get_output tells the last run's
 * dims after it. On failure the earlier binding stays in force. Each method of a session has its
 * own binding. The cost is linear in the number of instructions; nothing else allocates. */
FLOE_API floe_status floe_session_bind(floe_session* session, uint32_t method,
                                       const floe_tensor* inputs, uint32_t count,
                                       floe_error* error);
/* Changes one buffer of a bound method. `bytes` must be exactly the tensor's; an output whose size
 * runs find always needs room for the size's bound, the bytes that floe_session_get_output tells
 * between bind and the first run. The buffer must live until the run ends. O(uses). No output may
 * overlap an input or another output (inputs may overlap each other): floe_session_run refuses that
 * with FLOE_INVALID_ARGUMENT and names both tensors. It is the run that looks, so buffers can be
 * exchanged one by one. */
FLOE_API floe_status floe_session_set_input(floe_session* session, uint32_t method, uint32_t index,
                                            const void* data, size_t bytes, floe_error* error);
FLOE_API floe_status floe_session_set_output(floe_session* session, uint32_t method, uint32_t index,
                                             void* data, size_t bytes, floe_error* error);
/* Shape, size and current buffer (null if none) of an input or output of a bound method. */
FLOE_API floe_status floe_session_get_input(const floe_session* session, uint32_t method,
                                            uint32_t index, floe_tensor* tensor, floe_error* error);
FLOE_API floe_status floe_session_get_output(const floe_session* session, uint32_t method,
                                             uint32_t index, floe_tensor* tensor,
                                             floe_error* error);

typedef struct floe_run_options {
  size_t struct_size;
  const int32_t* cancel; /* Null, or a flag that another thread may set (atomically) to stop the
                            run: polled before every instruction. */
  uint64_t deadline_ns;  /* 0, or the time of CLOCK_MONOTONIC at which the run gives up. */
} floe_run_options;
#define FLOE_RUN_OPTIONS_INIT \
  { sizeof(floe_run_options), NULL, 0 }

/* Runs a bound method. All its buffers must be set, and no output may overlap another buffer:
 * looked at by the first run after a buffer has changed, before anything is written; O(n log n) in
 * the number of buffers. Allocates nothing, takes no lock, makes no system call (other than to wake
 * and await threads). Runs under round-to-nearest and the session's denormal mode, and restores the
 * caller's floating-point state. After a failed, cancelled or late run the outputs and the states
 * that the method writes are undefined; the session is usable. */
FLOE_API floe_status floe_session_run(floe_session* session, uint32_t method,
                                      const floe_run_options* options, floe_error* error);

/* Memory of a bound method in this session. */
typedef struct floe_session_info {
  size_t struct_size;
  uint32_t bucket;
  uint32_t workers;
  uint64_t arena_bytes;
  uint64_t scratch_bytes; /* Of all workers. */
  uint64_t kernel_bytes;  /* Prepared tables of the kernels. */
  uint64_t plan_bytes;    /* Descriptors and pointers. */
  uint64_t output_bytes;  /* Of own_outputs. */
  uint64_t state_bytes;   /* Of all the program's states. */
  uint64_t total_bytes;   /* Everything that the session has allocated, for all methods. */
} floe_session_info;
FLOE_API floe_status floe_session_get_info(const floe_session* session, uint32_t method,
                                           floe_session_info* info);

/* ---- States (hidden states, caches): they keep their contents from run to run ---------------- */

/* Sets all states to their initial contents. */
FLOE_API floe_status floe_session_reset_states(floe_session* session);
/* Copies all states from another session of the same model. */
FLOE_API floe_status floe_session_copy_states(floe_session* to, const floe_session* from,
                                              floe_error* error);
/* The state's memory, for reading and writing between runs. */
FLOE_API floe_status floe_session_get_state(floe_session* session, uint32_t index,
                                            floe_tensor* tensor, floe_error* error);
/* Writes all states as one blob. *size gets the bytes needed; if capacity is less, nothing is
 * written and FLOE_RESOURCE_EXHAUSTED comes back (with a null buffer and capacity 0: FLOE_OK). */
FLOE_API floe_status floe_session_save_states(const floe_session* session, void* buffer,
                                              size_t capacity, size_t* size, floe_error* error);
/* Refuses a blob that is damaged or of other states (by name, dtype, shape); then nothing changes.
 */
FLOE_API floe_status floe_session_load_states(floe_session* session, const void* buffer,
                                              size_t size, floe_error* error);

/* ---- Profile -------------------------------------------------------------------------------- */

typedef struct floe_profile_entry {
  uint32_t instruction; /* Index in the program. */
  uint32_t kernel;      /* Kernel family. */
  uint32_t run;         /* Counts the runs of the method in this session, from 0. */
  uint32_t workers;     /* That shared the tasks: 1 if it ran on the calling thread alone. */
  uint64_t begin_ns;    /* CLOCK_MONOTONIC. */
  uint64_t end_ns;
  double flops;
  double bytes;
  char op[24];
  char variant[48]; /* "f32_gemm_8x48__avx512". */
  char node[64];
} floe_profile_entry;

/* Copies the recorded events of a method, oldest first, and clears them. *count gets how many were
 * copied (at most capacity; the newest ones win). Control flow has no events of its own. */
FLOE_API floe_status floe_session_take_profile(floe_session* session, uint32_t method,
                                               floe_profile_entry* entries, size_t capacity,
                                               size_t* count);

/* ---- Backends ------------------------------------------------------------------------------- */

typedef struct floe_backend_info {
  size_t struct_size;
  int32_t available; /* Not 0: this machine can run it. */
  char backend[16];
  char isa[16];
} floe_backend_info;
/* Enumerates the backends of this build, best ISA first; FLOE_NOT_FOUND past the last. */
FLOE_API floe_status floe_get_backend(uint32_t index, floe_backend_info* info);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* FLOE_RUNTIME_FLOE_H_ */
