/* A C program that embeds Floe: opens the program that it is given, runs it for every batch size,
 * and prints the outputs' sums. */
#include <floe/floe.h>
#include <stdio.h>
#include <stdlib.h>

static int Fail(const floe_error* error) {
  char text[512];
  floe_error_format(error, text, sizeof(text));
  fprintf(stderr, "%s\n", text);
  return 1;
}

static int RunBatch(floe_session* session, int64_t n) {
  floe_error error;
  floe_tensor input;
  floe_tensor output;
  float x[8 * 4];
  float sum = 0;
  int i;
  for (i = 0; i < 8 * 4; ++i) x[i] = (float)i * 0.25f;
  input.data = x;
  input.bytes = (size_t)n * 4 * sizeof(float);
  input.dtype = FLOE_F32;
  input.rank = 2;
  input.dims[0] = n;
  input.dims[1] = 4;
  if (floe_session_bind(session, 0, &input, 1, &error) != FLOE_OK) return Fail(&error);
  if (floe_session_run(session, 0, NULL, &error) != FLOE_OK) return Fail(&error);
  if (floe_session_get_output(session, 0, 0, &output, &error) != FLOE_OK) return Fail(&error);
  if (output.rank != 2 || output.dims[0] != n || output.dims[1] != 3) return 1;
  for (i = 0; i < (int)(n * 3); ++i) sum += ((const float*)output.data)[i];
  printf("batch %d: sum %g\n", (int)n, sum);
  return 0;
}

int main(int argc, char** argv) {
  floe_error error;
  floe_model* model = NULL;
  floe_session* session = NULL;
  floe_session_options options = FLOE_SESSION_OPTIONS_INIT;
  int64_t n;
  int failed = 0;
  if (argc != 2 || floe_version() != FLOE_VERSION) return 2;
  if (floe_model_open_file(argv[1], NULL, &model, &error) != FLOE_OK) return Fail(&error);
  options.own_outputs = 1;
  if (floe_session_create(model, &options, &session, &error) != FLOE_OK) return Fail(&error);
  for (n = 1; n <= 8 && !failed; ++n) failed = RunBatch(session, n);
  floe_session_destroy(session);
  floe_model_release(model);
  return failed;
}
