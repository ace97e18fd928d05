/* A C program's use of Floe, called by c_api_test.cc. Returns 0, or the line that failed. */
#ifndef FLOE_TESTS_RUNTIME_C_API_USE_H_
#define FLOE_TESTS_RUNTIME_C_API_USE_H_

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

int UseFromC(const void* mlp_file, size_t bytes);

#ifdef __cplusplus
}
#endif

#endif /* FLOE_TESTS_RUNTIME_C_API_USE_H_ */
