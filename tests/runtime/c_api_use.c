#include "tests/runtime/c_api_use.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/floe.h"

#define CHECK(condition)       \
  do {                         \
    if (!(condition)) return __LINE__; \
  } while (0)

static int allocations;

static void* Allocate(void* self, size_t bytes, size_t alignment) {
  ++*(int*)self;
  void* p = NULL;
  if (alignment < sizeof(void*)) alignment = sizeof(void*);
  return posix_memalign(&p, alignment, bytes) == 0 ? p : NULL;
}

static void Release(void* self, void* memory, size_t bytes) {
  (void)bytes;
  --*(int*)self;
  free(memory);
}

int UseFromC(const void* mlp_file, size_t bytes) {
  floe_error error;
  floe_open_options open_options = FLOE_OPEN_OPTIONS_INIT;
  open_options.copy = 1;
  open_options.allocator.self = &allocations;
  open_options.allocator.allocate = Allocate;
  open_options.allocator.release = Release;
  floe_model* model = NULL;
  CHECK(floe_model_open_bytes(mlp_file, bytes, &open_options, &model, &error) == FLOE_OK);

  uint32_t method = 99;
  CHECK(floe_model_find(model, FLOE_METHOD, 0, "main", &method) == FLOE_OK && method == 0);
  CHECK(floe_model_find(model, FLOE_METHOD, 0, "mein", &method) == FLOE_NOT_FOUND);
  char name[8];
  CHECK(floe_model_get_name(model, FLOE_INPUT, method, 0, name, sizeof(name)) == 1);
  CHECK(strcmp(name, "x") == 0);
  floe_tensor_spec spec = {sizeof(spec), 0, 0, {{0, 0, 0, 0, 0}}};
  CHECK(floe_model_get_spec(model, FLOE_INPUT, method, 0, &spec) == FLOE_OK);
  CHECK(spec.dtype == FLOE_F32 && spec.rank == 2);
  CHECK(spec.axes[0].min == 1 && spec.axes[0].max == 8 && spec.axes[0].symbol == 0);
  CHECK(spec.axes[1].min == 4 && spec.axes[1].max == 4 && spec.axes[1].symbol == FLOE_NO_INDEX);

  floe_session* session = NULL;
  floe_session_options options = FLOE_SESSION_OPTIONS_INIT;
  CHECK(floe_session_create(model, &options, &session, &error) == FLOE_OK);
  floe_model_release(model); /* The session keeps it alive. */
  float x[8] = {0};
  floe_tensor input;
  memset(&input, 0, sizeof(input));
  input.data = x;
  input.bytes = sizeof(x);
  input.dtype = FLOE_F32;
  input.rank = 2;
  input.dims[0] = 9;
  input.dims[1] = 4;
  CHECK(floe_session_bind(session, method, &input, 1, &error) == FLOE_INVALID_ARGUMENT);
  char text[512];
  CHECK(floe_error_format(&error, text, sizeof(text)) < sizeof(text));
  CHECK(strstr(text, "N is 1 to 8") != NULL);
  input.dims[0] = 2;
  CHECK(floe_session_bind(session, method, &input, 1, NULL) == FLOE_OK);
  floe_tensor output;
  CHECK(floe_session_get_output(session, method, 0, &output, &error) == FLOE_OK);
  CHECK(output.data == NULL && output.bytes == 2 * 3 * sizeof(float));
  float y[6] = {7, 7, 7, 7, 7, 7};
  CHECK(floe_session_set_output(session, method, 0, y, sizeof(y), &error) == FLOE_OK);
  CHECK(floe_session_run(session, method, NULL, &error) == FLOE_OK);
  for (int i = 0; i < 6; ++i) CHECK(y[i] == 0.0f); /* All inputs are zero. */
  floe_session_destroy(session);
  CHECK(allocations == 0);
  return 0;
}
