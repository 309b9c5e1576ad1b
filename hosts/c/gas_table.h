/* Reads solver files of gas (*.gas.json) and samples with them. C99, no dependency but the standard library:
 * copy gas_table.h and gas_table.c into your program.
 *
 *   gas_error error;
 *   gas_solver *solver = gas_solver_read("solver.gas.json", &error);
 *   const gas_table *table = solver ? gas_solver_table(solver, 6, &error) : NULL;
 *   if (!table || gas_sample(solver, table, batch, size, noise, sample, network, user, &error) != 0)
 *     fprintf(stderr, "%s\n", error.text);
 *   gas_solver_free(solver);
 *
 * A table is x_{n+1} = sum_{j<=n} A[n][j] x_j + B[n][j] m_j, where x_j are states alpha x0 + sigma eps and
 * m_j the data predictions of the network there (docs/formats.md, docs/math/step_table.md,
 * docs/math/spectral.md). There is nothing to choose: whatever method or training made the table, it is run
 * the same way.
 */
#ifndef GAS_TABLE_H_
#define GAS_TABLE_H_

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One sentence that says what is wrong, and where. */
typedef struct {
  char text[256];
} gas_error;

/* What the network's output is for x = alpha x0 + sigma eps: eps, x0, alpha eps - sigma x0, eps - x0. */
typedef enum { GAS_NOISE, GAS_DATA, GAS_VELOCITY, GAS_FLOW } gas_prediction;

typedef struct gas_solver gas_solver;

/* A table with nfe network evaluations. Read only. */
typedef struct {
  int nfe;
  double prior_std;    /* the first state is this times standard normal noise */
  const double *t;     /* [nfe+1] times of the states, descending; the last is that of the sample */
  const double *alpha; /* [nfe] at t */
  const double *sigma;
  const double *t_eval; /* [nfe] times that the network is shown */
  const double *alpha_eval;
  const double *sigma_eval;
  const double *a; /* [nfe][nfe], in a spectral table [nfe][nfe][channels][bands] */
  const double *b;
  int spectral; /* whether there is a coefficient for each band */
  /* Of spectral tables, and of those with a start; else 0 and NULL. */
  int channels, height, width, bands;
  const double *rotation; /* [channels][channels], row c is component c */
  const double *edges;    /* [bands+1] */
  const double *gain;     /* [channels][height][width], NULL without a start */
  const double *offset;
} gas_table;

/* NULL, with a message, for anything that is not a solver file. The text need not end in a zero. */
gas_solver *gas_solver_parse(const char *text, size_t length, gas_error *error);
gas_solver *gas_solver_read(const char *path, gas_error *error);
void gas_solver_free(gas_solver *solver);

gas_prediction gas_solver_prediction(const gas_solver *solver);
/* The scale of guidance that the solver was made for. */
double gas_solver_guidance(const gas_solver *solver);
/* T of a network trained on T discrete steps, which is told T t - 1 at time t; 0 for others. */
int gas_solver_timesteps(const gas_solver *solver);
/* [T] alphas_cumprod of such a network, else NULL. */
const double *gas_solver_alphas_cumprod(const gas_solver *solver);
/* How many tables there are, and each of them. */
int gas_solver_count(const gas_solver *solver);
const gas_table *gas_solver_at(const gas_solver *solver, int index);
/* The table with nfe evaluations, or with nfe = 0 the only one. NULL, with a message, if there is none. */
const gas_table *gas_solver_table(const gas_solver *solver, int nfe, gas_error *error);

/* The network: output from x, both of `batch` states of `size` floats, at the level of evaluation n. Not 0
 * stops the run. x may be read alone. */
typedef int (*gas_network)(void *user, int n, const float *x, double t, double alpha, double sigma,
                           float *output);

/* `sample` from standard normal `noise`, both of `batch` states of `size` floats; they may be the same
 * memory. A spectral table needs states [channels][height][width]. Holds at most 2 nfe + 4 times the states.
 * Returns 0, or 1 with a message. */
int gas_sample(const gas_solver *solver, const gas_table *table, size_t batch, size_t size,
               const float *noise, float *sample, gas_network network, void *user, gas_error *error);

#ifdef __cplusplus
}
#endif

#endif /* GAS_TABLE_H_ */
