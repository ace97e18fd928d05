# Writes OUT, a source file with KernelVersion(): a hash of the files of LIST (one name a line, in
# FOLDER).
file(STRINGS ${LIST} names)
set(all "")
foreach(name IN LISTS names)
  file(SHA256 ${FOLDER}/${name} hash)
  string(APPEND all "${name} ${hash}\n")
endforeach()
string(SHA256 version "${all}")
string(SUBSTRING ${version} 0 12 version)
set(text "// Made by make_kernel_version.cmake.
#include \"compiler/tune/cpu_kind.h\"

namespace floe::tune {

std::string KernelVersion() { return \"products-${version}\"; }

}  // namespace floe::tune
")
file(WRITE ${OUT} "${text}")
