// Early return for absl::Status and absl::StatusOr.
#ifndef FLOE_COMPILER_IR_STATUS_MACROS_H_
#define FLOE_COMPILER_IR_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define FLOE_TRY(expr)                                                      \
  do {                                                                      \
    if (absl::Status floe_try_ = (expr); !floe_try_.ok()) return floe_try_; \
  } while (false)

#define FLOE_TRY_CONCAT2(a, b) a##b
#define FLOE_TRY_CONCAT(a, b) FLOE_TRY_CONCAT2(a, b)
// FLOE_TRY_ASSIGN(auto x, F()): declares x from the StatusOr that F gives, or returns its error.
#define FLOE_TRY_ASSIGN(declaration, expr) \
  FLOE_TRY_ASSIGN_IMPL(FLOE_TRY_CONCAT(floe_statusor_, __LINE__), declaration, expr)
#define FLOE_TRY_ASSIGN_IMPL(temporary, declaration, expr) \
  auto temporary = (expr);                                 \
  if (!temporary.ok()) return temporary.status();          \
  declaration = *std::move(temporary)

#endif  // FLOE_COMPILER_IR_STATUS_MACROS_H_
