// The checks of kernel families: what operands, layouts, shapes, attributes and code a family
// takes, and what memory it needs. One function per family, shared by all backends; each is total:
// it is called with instructions of untrusted files and is the only thing between them and the
// kernels.
//
//   families.list.def           which families exist
//   families/<family>.cc        their checks
//   families/check.h            what they share
//   cpu/families.list.def       which of them backends/cpu implements, cpu/<family>/ how
//   reference/twins/            their plain twins
#ifndef FLOE_BACKENDS_FAMILIES_H_
#define FLOE_BACKENDS_FAMILIES_H_

#include "format/footprint.h"
#include "format/status.h"

namespace floe::families {

// As FootprintTable::Check. *footprint is value-initialised by the caller. Thread-safe.
#define FLOE_FAMILY(name) Status Check##name(const OpInfo& op, Footprint* footprint);
#include "backends/families.list.def"
#undef FLOE_FAMILY

}  // namespace floe::families

#endif  // FLOE_BACKENDS_FAMILIES_H_
