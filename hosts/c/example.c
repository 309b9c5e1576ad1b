/* Samples with a solver file: example SOLVER NFE FLOATS NOISE OUT
 *
 * NOISE has standard normal float32, as many samples of FLOATS numbers as there are; OUT gets the samples.
 * The "network" is exact for data N(0, 0.25) in every number: put yours in its place.
 *
 *   cc -std=c99 -O2 example.c gas_table.c -lm -o example
 */
#include <stdio.h>
#include <stdlib.h>

#include "gas_table.h"

typedef struct {
  gas_prediction prediction;
  size_t count; /* floats of all states together */
} gaussian;

/* With ONNX Runtime's C API (onnxruntime_c_api.h, api = OrtGetApiBase()->GetApi(ORT_API_VERSION)) this function wraps
 * x, the time and output as tensors and runs a session that was created before:
 *
 *   OrtStatus *CreateTensorWithDataAsOrtValue(const OrtMemoryInfo *info, void *data, size_t bytes, const int64_t *shape,
 *                                             size_t shape_len, ONNXTensorElementDataType type, OrtValue **out);
 *   OrtStatus *Run(OrtSession *session, const OrtRunOptions *options, const char *const *input_names,
 *                  const OrtValue *const *inputs, size_t input_len, const char *const *output_names,
 *                  size_t output_names_len, OrtValue **outputs);
 *
 * so, with names and shapes of the network's own file, and each status looked at,
 *
 *   api->CreateTensorWithDataAsOrtValue(cpu, (void *)x, bytes, shape, 4, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &in[0]);
 *   api->CreateTensorWithDataAsOrtValue(cpu, &time, sizeof time, NULL, 0, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &in[1]);
 *   api->CreateTensorWithDataAsOrtValue(cpu, output, bytes, shape, 4, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &out[0]);
 *   api->Run(session, NULL, in_names, in, 2, out_names, 1, out);
 *
 * and returns nonzero where one fails. */
static int evaluate(void *user, int n, const float *x, double t, double alpha, double sigma, float *output) {
  const gaussian *network = user;
  const double variance = 0.25, shrink = alpha * variance / (alpha * alpha * variance + sigma * sigma);
  (void)n, (void)t; /* a real network is told t, or gas_solver_timesteps() * t - 1 */
  for (size_t i = 0; i < network->count; ++i) {
    const double x0 = shrink * x[i], eps = (x[i] - alpha * x0) / sigma;
    switch (network->prediction) {
      case GAS_NOISE: output[i] = (float)eps; break;
      case GAS_DATA: output[i] = (float)x0; break;
      case GAS_VELOCITY: output[i] = (float)(alpha * eps - sigma * x0); break;
      case GAS_FLOW: output[i] = (float)(eps - x0); break;
    }
  }
  return 0;
}

/* The file's floats in new memory. */
static float *read_floats(const char *path, size_t *count) {
  FILE *file = fopen(path, "rb");
  if (file == NULL || fseek(file, 0, SEEK_END) != 0) return NULL;
  const long bytes = ftell(file);
  rewind(file);
  float *numbers = bytes > 0 ? malloc((size_t)bytes) : NULL;
  *count = numbers != NULL ? fread(numbers, sizeof *numbers, (size_t)bytes / sizeof *numbers, file) : 0;
  fclose(file);
  return numbers;
}

static int write_floats(const char *path, const float *numbers, size_t count) {
  FILE *file = fopen(path, "wb");
  if (file == NULL) return 1;
  const size_t written = fwrite(numbers, sizeof *numbers, count, file);
  return fclose(file) != 0 || written != count;
}

static int run(const gas_solver *solver, char **arguments, gas_error *error) {
  const gas_table *table = gas_solver_table(solver, atoi(arguments[2]), error);
  const size_t floats = (size_t)atol(arguments[3]);
  size_t count = 0;
  float *noise = read_floats(arguments[4], &count);
  int failed = 1;
  if (noise == NULL || floats == 0 || count == 0 || count % floats != 0) {
    snprintf(error->text, sizeof error->text, "%.200s: no samples of %lu floats", arguments[4],
             (unsigned long)floats);
  } else if (table != NULL) {
    gaussian network = {gas_solver_prediction(solver), count};
    failed = gas_sample(solver, table, count / floats, floats, noise, noise, evaluate, &network, error);
    if (!failed && write_floats(arguments[5], noise, count)) {
      snprintf(error->text, sizeof error->text, "%.200s: cannot be written", arguments[5]);
      failed = 1;
    }
  }
  free(noise);
  return failed;
}

int main(int argc, char **argv) {
  gas_error error;
  if (argc != 6) {
    fprintf(stderr, "usage: example SOLVER NFE FLOATS NOISE OUT\n");
    return 2;
  }
  gas_solver *solver = gas_solver_read(argv[1], &error);
  const int failed = solver == NULL || run(solver, argv, &error);
  if (failed) fprintf(stderr, "%s\n", error.text);
  gas_solver_free(solver);
  return failed;
}
