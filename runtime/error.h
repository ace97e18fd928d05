// Turns a Status (numbers) into a floe_error (numbers and names), and that into a sentence.
#ifndef FLOE_RUNTIME_ERROR_H_
#define FLOE_RUNTIME_ERROR_H_

#include <cstdint>

#include "format/program.h"
#include "format/status.h"
#include "runtime/floe.h"

namespace floe::runtime {

// What is known where an error is reported. Everything may be null.
struct ErrorScene {
  const ProgramView* program = nullptr;
  const int64_t* symbols = nullptr;  // Their values, for errors about concrete shapes.
  const char* subject = nullptr;     // A path or a name that the caller passed.
};

// Returns the code. `error` may be null. Looks nothing up on success.
floe_status Report(const Status& status, const ErrorScene& scene, floe_error* error);

// Writes as much of an info struct as the caller's has room for, whose struct_size stays.
floe_status WriteInfo(const void* info, size_t size, void* out);
template <typename T>
floe_status WriteInfo(const T& info, T* out) {
  return WriteInfo(&info, sizeof(T), out);
}

}  // namespace floe::runtime

#endif  // FLOE_RUNTIME_ERROR_H_
