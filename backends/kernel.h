// The kernel interface: what a backend implements and the executor calls.
//
// A kernel family (kernels.def) is the meaning of an instruction. Its Check (backends/families.h) is
// shared by all backends: it accepts or refuses shapes and says what memory is needed. A backend is
// a table of implementations of families; the same family has one implementation per ISA and one
// plain twin (backends/reference). Tables are listed in backends/registry.h and nowhere else.
//
// Life of an instruction: Check at compile time (planning), at open (validation) and at Bind with
// concrete shapes; Prepare once per Bind, which picks tiles and fills the state; then Run for every
// phase and task. Tasks of one phase are independent and may run on different workers at once;
// phases run one after the other with a barrier between them. Results must not depend on how tasks
// are spread over workers, nor on the number of tasks that Prepare chose.
//
// Kernels allocate nothing, throw nothing, call nothing that can block, and touch exactly what
// Check declared. They run under round-to-nearest with denormals as the executor set them.
#ifndef FLOE_BACKENDS_KERNEL_H_
#define FLOE_BACKENDS_KERNEL_H_

#include <cstdint>

#include "format/footprint.h"
#include "format/status.h"

namespace floe {

enum class KernelId : uint32_t {
#define FLOE_KERNEL(id, name, text, attrs, operands, meaning) k##name = id,
#include "backends/kernels.def"
#undef FLOE_KERNEL
};
inline constexpr uint32_t kMaxKernelId = 64;

// One row of kernels.def; null for an unknown id.
struct KernelRow {
  KernelId id;
  const char* name;
  const char* attrs;
  const char* operands;
  const char* meaning;
};
const KernelRow* FindKernel(uint32_t id);

struct PrepareContext {
  uint32_t workers = 1;  // Workers that will share the tasks (the caller's thread included).
};

// What Prepare decided.
struct Schedule {
  uint32_t phases = 1;
  uint32_t tasks = 1;              // Of each phase. 0: nothing to do (an empty tensor).
  const char* variant = "";        // Static string for profiles: "f32_gemm_8x48__avx512".
};

struct KernelArgs {
  const OpInfo* op = nullptr;
  const void* const* inputs = nullptr;  // Null for absent operands.
  void* const* outputs = nullptr;
  const void* state = nullptr;  // As Prepare left it.
};

// Fills `state` (Footprint::state_bytes, 64-byte aligned) and *schedule. `op` has passed Check.
using PrepareFn = Status (*)(const OpInfo& op, const PrepareContext& context, void* state,
                             Schedule* schedule);
// Runs tasks [begin, end) of `phase`. `scratch` is the worker's own (Footprint::scratch_bytes).
// Rule::kNone, or what went wrong (kRunIndex, kRunDivideByZero, kRunCheck).
using RunFn = Rule (*)(const KernelArgs& args, uint32_t phase, uint32_t begin, uint32_t end,
                       void* scratch);

struct KernelImpl {
  PrepareFn prepare = nullptr;  // Null: this table does not implement the family.
  RunFn run = nullptr;
};

// The kernels of one backend for one ISA.
struct KernelTable {
  const char* backend;  // "cpu", "reference".
  const char* isa;      // "sse2", "avx2", "avx512"; "plain" for the reference.
  bool (*available)();  // Does this machine have the ISA (CPUID and XCR0)?
  KernelImpl kernels[kMaxKernelId];
};

}  // namespace floe

#endif  // FLOE_BACKENDS_KERNEL_H_
